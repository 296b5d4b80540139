class FilterModule:
    def filters(self):
        return {"tier_name": lambda tier: f"tier-{tier}"}
