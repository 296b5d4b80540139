import os

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

FOLDER = "@web1.root@/cloud"


class FileProvider(ResourceProvider):
    def create(self, props):
        os.makedirs(FOLDER, exist_ok=True)
        path = os.path.join(FOLDER, props["name"])
        with open(path, "w") as file:
            file.write(props["text"])
        return CreateResult(path, {**props, "path": props["name"]})

    def delete(self, id, props):
        os.remove(id)


class File(Resource):
    path: pulumi.Output[str]

    def __init__(self, name, text, opts=None):
        super().__init__(FileProvider(), name, {"name": name, "text": text, "path": None}, opts)


class Site(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("corpus:index:Site", name)
        own = pulumi.ResourceOptions(parent=self)
        self.index = File(f"{name}.html", "<h1>site</h1>\n", own)
        self.robots = File("robots.txt", "User-agent: *\n", own)
        self.register_outputs({})


pulumi.export("index", Site("site").index.path)
