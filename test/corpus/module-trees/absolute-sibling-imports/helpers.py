DIM = 2 ** 3
_SIZES = dict(small=2, large=5)


def pick(name):
    return _SIZES[name]
