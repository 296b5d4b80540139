def line(word):
    return f"stamped {word}\n"
