class FilterModule:
    def filters(self):
        return {"brackets": lambda text: f"[{text}]"}
