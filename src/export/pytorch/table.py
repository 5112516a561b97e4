MISSING = ("", "na", "n/a", "nan", "null", "?")


def encode(rows):
    """The net's inputs for rows, each a dict of cells by column, as csv.DictReader gives them."""
    cells = ([(column, str(row[name]).strip()) for name, column in COLUMNS.items()] for row in rows)
    return torch.tensor([[x for column, cell in row for x in numbers(column, cell)] for row in cells])


def numbers(column, cell):
    """The numbers of a cell: (number - mean) / std, or one for each category."""
    missing = cell.lower() in MISSING
    if missing and "fill" in column:
        cell = column["fill"]
    elif cell == "" or missing and "mean" in column:
        raise ValueError(f"a cell is missing, {cell!r}, and the column has no fill: {column}")
    if "categories" in column:
        return [float(cell == category) for category in column["categories"]]
    return [(float(cell) - column["mean"]) / column["std"]]
