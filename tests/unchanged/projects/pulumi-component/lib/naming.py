def full_name(name):
    return f"record-{name}"
