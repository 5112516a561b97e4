def encode(text):
    """The net's input for a text: the numbers of its characters, [1, len(text)]."""
    return torch.tensor([[CHARACTERS.index(character) for character in text]])
