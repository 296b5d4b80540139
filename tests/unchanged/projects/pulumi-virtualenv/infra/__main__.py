import os
import sys

import pulumi


class Named(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("corpus:index:Named", name)
        self.register_outputs({})


Named("thing")
pulumi.export("python", os.path.basename(sys.prefix))
