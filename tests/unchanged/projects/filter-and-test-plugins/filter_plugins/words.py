def shout(text, mark="!"):
    return f"{text.upper()}{mark}"


class FilterModule:
    def filters(self):
        return {"shout": shout}
