"""Stands in for pydantic: fields with defaults."""


class _Field:
    def __init__(self, default=None, default_factory=None, **constraints):
        self.default, self.factory = default, default_factory

    def value(self):
        return self.factory() if self.factory else self.default


def Field(*args, **kwargs):
    return _Field(*args, **kwargs)


class BaseModel:
    def __init__(self, **values):
        for name in type(self).__annotations__:
            value = values.get(name, getattr(type(self), name, None))
            setattr(self, name, value.value() if isinstance(value, _Field) else value)
