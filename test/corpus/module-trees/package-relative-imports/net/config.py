WIDTH = 6
CLASSES = len(['cat', 'dog', 'bird'])
