use super::*;
use crate::kernel::matmul::tile::TILES;

/// The value of an expression of WGSL in whole numbers: names, numbers, brackets and operators, those of a level from left
/// to right.
fn value(text: &str, names: &[(&str, usize)]) -> usize {
    let mut rest = text;
    let value = level(&mut rest, names, 0);
    assert_eq!(rest.trim(), "", "the end of {text}");
    value
}

const LEVELS: [&[char]; 3] = [&['^'], &['+', '-'], &['*', '/', '%']];

fn level(rest: &mut &str, names: &[(&str, usize)], depth: usize) -> usize {
    let Some(operators) = LEVELS.get(depth) else { return atom(rest, names) };
    let mut left = level(rest, names, depth + 1);
    while let Some(operator) = rest.trim_start().chars().next().filter(|c| operators.contains(c)) {
        *rest = &rest.trim_start()[1..];
        let right = level(rest, names, depth + 1);
        left = match operator {
            '^' => left ^ right,
            '+' => left + right,
            '-' => left - right,
            '*' => left * right,
            '/' => left / right,
            _ => left % right,
        };
    }
    left
}

fn atom(rest: &mut &str, names: &[(&str, usize)]) -> usize {
    let text = rest.trim_start();
    if let Some(inner) = text.strip_prefix('(') {
        *rest = inner;
        let value = level(rest, names, 0);
        *rest = rest.trim_start().strip_prefix(')').expect("a closing bracket");
        return value;
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let word = &text[..end];
    *rest = &text[end..];
    match word.trim_end_matches('u').parse() {
        Ok(number) => number,
        Err(_) => names.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{word}")).1,
    }
}

#[test]
fn expressions_have_their_value() {
    assert_eq!(value("line * 4u + (s ^ ((line / 2u) % 4u))", &[("line", 7), ("s", 2)]), 29);
    assert_eq!(value("20u - 2u - 3u * (1u + 2u)", &[]), 9);
}

/// A function of the printed text by its name: its parameters, and what it returns.
fn function(text: &str, name: &str) -> (Vec<String>, String) {
    let line = text.lines().find(|l| l.starts_with(&format!("fn {name}("))).expect("the function");
    let (head, body) = line.split_once(") -> u32 { return ").expect("one expression");
    let parameters = head.split('(').nth(1).expect("parameters").split(", ");
    let names = parameters.map(|p| p.split(':').next().expect("a name").to_owned()).collect();
    (names, body.trim_end_matches("; }").to_owned())
}

fn call(text: &str, name: &str, given: &[usize], tile: &Tile) -> usize {
    let (parameters, body) = function(text, name);
    let mut names: Vec<(&str, usize)> =
        parameters.iter().map(String::as_str).zip(given.iter().copied()).collect();
    names.extend([("TALL", tile.tall()), ("WIDE", tile.wide())]);
    if let Some((called, inner)) = body.split_once('(').filter(|(called, _)| called.ends_with("_at")) {
        let inner: Vec<usize> =
            inner.trim_end_matches(')').split(", ").map(|part| value(part, &names)).collect();
        return call(text, called, &inner, tile);
    }
    value(&body, &names)
}

/// Cycles in which 32 banks serve these cells, given in the order of the invocations: the cells of eight invocations, a
/// number from each bank, in one, where no two of them need other numbers of one bank.
fn cycles(cells: &[usize]) -> usize {
    let of_eight = |eight: &[usize]| {
        let mut distinct = eight.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        (0..8).map(|bank| distinct.iter().filter(|cell| *cell % 8 == bank).count()).max().unwrap_or(0)
    };
    cells.chunks(8).map(of_eight).sum()
}

const LAYOUTS: [Layout; 4] = [
    Layout { along_k: true, fours: true, mapped: false },
    Layout { along_k: false, fours: true, mapped: false },
    Layout { along_k: true, fours: false, mapped: false },
    Layout { along_k: false, fours: false, mapped: false },
];

fn blocks() -> impl Iterator<Item = Block<'static>> {
    TILES.iter().flat_map(|tile| {
        LAYOUTS
            .iter()
            .flat_map(move |&a| LAYOUTS.map(move |b| Block { tile, a, b, row_sum: false, epilogue_flops: 0 }))
    })
}

/// Every cell of a slab has a place of its own.
#[test]
fn places_are_a_permutation() {
    for block in blocks() {
        let text = block.layout();
        for (name, cells) in [("a_place", block.tile.a_cells()), ("b_place", block.tile.b_cells())] {
            let mut places: Vec<usize> = (0..cells).map(|id| call(&text, name, &[id], block.tile)).collect();
            places.sort_unstable();
            assert!(places.iter().copied().eq(0..cells), "{name} of {block:?}");
        }
    }
}

/// Every row and column of the tile belongs to one invocation.
#[test]
fn rows_and_columns_are_a_permutation() {
    for block in blocks() {
        let (text, tile) = (block.layout(), block.tile);
        for (name, count, each) in
            [("row_of", tile.tall(), tile.each_rows), ("col_of", tile.wide(), tile.each_cols)]
        {
            let mut lines: Vec<usize> = (0..count * each)
                .map(|line| call(&text, name, &[line % count, line / count], tile))
                .collect();
            lines.sort_unstable();
            assert!(lines.iter().copied().eq(0..count * each), "{name} of {block:?}");
        }
    }
}

/// Stores into a slab and loads from it meet in no bank, for every tile and layout: 32 invocations take four cycles or,
/// where many load the same, fewer.
#[test]
fn banks_have_no_conflicts() {
    for block in blocks() {
        let (text, tile) = (block.layout(), block.tile);
        let of_lanes = |name: &str, given: &dyn Fn(usize) -> Vec<usize>| {
            let cells: Vec<usize> =
                (0..tile.invocations()).map(|lane| call(&text, name, &given(lane), tile)).collect();
            for warp in cells.chunks(32) {
                assert_eq!(cycles(warp), warp.len() / 8, "{name} of {block:?}: {warp:?}");
            }
        };
        let all = tile.invocations();
        for (name, count) in [("a_place", tile.a_cells()), ("b_place", tile.b_cells())] {
            for past in (0..count.saturating_sub(all - 1)).step_by(all) {
                of_lanes(name, &|lane| vec![lane + past]);
            }
        }
        let (tall, wide) = (tile.tall(), tile.wide());
        for step in 0..tile.steps() {
            let s = |lane: usize| lane / (tall * wide) + step * tile.slices;
            for i in 0..tile.each_rows {
                of_lanes("a_at", &|lane| {
                    let y = lane / wide % tall;
                    match block.a.along_k {
                        true => vec![call(&text, "row_of", &[y, i], tile), s(lane)],
                        false => vec![4 * s(lane) + i % 4, y + tall * (i / 4)],
                    }
                });
            }
            for j in 0..tile.each_cols {
                of_lanes("b_at", &|lane| {
                    let x = lane % wide;
                    match block.b.along_k {
                        true => vec![call(&text, "col_of", &[x, j], tile), s(lane)],
                        false => vec![4 * s(lane) + j % 4, x + wide * (j / 4)],
                    }
                });
            }
        }
    }
}

#[test]
fn the_simulation_sees_conflicts() {
    assert_eq!(cycles(&[0, 1, 2, 3, 4, 5, 6, 7]), 1);
    assert_eq!(cycles(&[0, 0, 0, 0, 8, 8, 8, 8]), 2);
    assert_eq!(cycles(&[0, 8, 16, 24, 32, 40, 48, 56]), 8);
    assert_eq!(cycles(&[3; 8]), 1);
    // Without the other order of a line's cells, the columns of an operand along K meet.
    let plain: Vec<usize> = (0..8).map(|x| x * 4).collect();
    assert_eq!(cycles(&plain), 4);
}

/// Loads and barriers are those of the tile.
#[test]
fn texts_have_their_parts() {
    for block in blocks() {
        let (tile, text) = (block.tile, block.four());
        assert_eq!(text.matches(" += ").count(), 4 * tile.each_rows * tile.each_cols / 4, "{block:?}");
        let reads = text.matches("cells[").count();
        assert_eq!(reads, tile.each_rows + tile.each_cols, "{block:?}");
        assert_eq!(block.keep().contains("workgroupBarrier"), tile.buffers == 1);
    }
    let tile = &TILES[TILES.len() - 1];
    let heavy = Block { tile, a: LAYOUTS[0], b: LAYOUTS[0], row_sum: false, epilogue_flops: 30 };
    let light = Block { epilogue_flops: 2, ..heavy };
    let stores = |block: &Block<'_>| block.finish().matches("store_four").count();
    assert_eq!((stores(&heavy), stores(&light)), (2, 4));
}
