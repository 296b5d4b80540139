import pulumi


class Record(pulumi.ComponentResource):
    def __init__(self, name, size, opts=None):
        super().__init__("corpus:index:Record", name, {"size": size}, opts)
        self.label = pulumi.Output.from_input(f"{name}:{size}")
        self.register_outputs({"label": self.label})
