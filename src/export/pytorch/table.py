MISSING = ("", "na", "n/a", "nan", "null", "?")
LARGEST = torch.finfo(torch.float32).max


def read(path, delimiter=DELIMITER):
    """The rows of a CSV file with a line of column names, each a dict of cells by column.

    A delimiter of None is the tab in a .tsv, else the one of tab, comma and semicolon that the first
    line has most of.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        text = file.read().lstrip("\r\n")
    if delimiter is None:
        first = "\t" if Path(path).suffix.lower() in (".tsv", ".tab") else text.split("\n")[0]
        delimiter = max((mark for mark in "\t,;" if mark in first), key=first.count, default=",")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = [name.strip() for name in rows.fieldnames or []]
    if not any(names):
        raise ValueError(f"{path} is empty; a line of column names is needed, and rows")
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise ValueError(f"{path}: two columns are named {twice[0]!r}")
    return list(rows)


def encode(rows):
    """The net's inputs for rows, each a dict of cells by column, as read or csv.DictReader gives them."""
    return torch.tensor([inputs(row) for row in rows])


def inputs(row):
    """The numbers of a row, column by column."""
    cells = {name if name is None else name.strip(): cell for name, cell in row.items()}
    if None in cells:
        raise ValueError(f"a row has more cells than there are columns: {row}")
    for name in COLUMNS:
        if name not in cells:
            raise ValueError(f"there is no column {name!r} in a row: {row}")
        if cells[name] is None:
            raise ValueError(f"a row has fewer cells than there are columns: {row}")
    return [x for name in COLUMNS for x in numbers(name, str(cells[name]).strip())]


def numbers(name, cell):
    """The numbers of a cell: (number - mean) / std, or one for each category."""
    column = COLUMNS[name]
    if cell in LISTED or number(cell) in LISTED_NUMBERS:
        cell = ""
    is_missing = cell.lower() in MISSING
    if is_missing and "fill" in column:
        value = column["fill"]
    elif cell == "" or is_missing and "mean" in column:
        raise ValueError(f"column {name!r}: the value is missing, and the column has no fill")
    else:
        value = cell if "categories" in column else number(cell)
    if "categories" in column:
        return [float(value == category) for category in column["categories"]]
    if value is None:
        raise ValueError(f"column {name!r}: {cell!r} is not a finite number")
    scaled = (value - column["mean"]) / column["std"]
    if max(abs(value), abs(scaled)) > LARGEST:
        raise ValueError(f"column {name!r}: {cell!r} is too large")
    return [scaled]


def number(cell):
    """The finite number that a cell is, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and cell.isascii() and "_" not in cell else None


# Cells that the data's `missing` lists: each text for itself, a number for every cell with that number.
LISTED_NUMBERS = {number(cell) for cell in LISTED} - {None}
