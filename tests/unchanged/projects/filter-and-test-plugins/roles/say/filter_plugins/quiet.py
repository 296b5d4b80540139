class FilterModule:
    def filters(self):
        return {"quiet": lambda text: text.lower()}
