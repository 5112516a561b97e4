//! Prints the body of `matmul_block.wgsl` for a tile and for the layouts of its operands.

use std::fmt::Write;

use super::tile::Tile;

/// How an operand lies in memory, and how it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout {
    /// A cell holds four of K of one line (a row of A, a column of B); else four lines at one place of K.
    pub along_k: bool,
    /// A cell is a vec4 in memory; else it is loaded as four numbers, by any strides.
    pub fours: bool,
    /// A number's address is computed from its coordinates (`kernel/map.rs`), and strides mean nothing.
    pub mapped: bool,
}

/// Elements of an invocation whose epilogues stand in the text, where they are short. Loads of unrolled epilogues do not
/// wait for each other.
const UNROLLED: usize = 16;
/// FLOPs of a short epilogue. A driver takes long to compile a long one many times over.
const SHORT: u64 = 8;

/// What the text depends on.
#[derive(Debug, Clone, Copy)]
pub struct Block<'t> {
    /// The tile.
    pub tile: &'t Tile,
    /// A.
    pub a: Layout,
    /// B.
    pub b: Layout,
    /// Also sum the rows of A.
    pub row_sum: bool,
    /// FLOPs of the epilogue of an element.
    pub epilogue_flops: u64,
}

/// A letter of the operand, and the names of its strides and of its lines.
struct Side {
    name: char,
    lines: usize,
    count: &'static str,
    line_stride: &'static str,
    k_stride: &'static str,
}

impl Block<'_> {
    fn sides(&self) -> [(Side, Layout); 2] {
        let a =
            Side { name: 'a', lines: self.tile.rows, count: "M", line_stride: "A_ROW", k_stride: "A_COL" };
        let b =
            Side { name: 'b', lines: self.tile.cols, count: "N", line_stride: "B_COL", k_stride: "B_ROW" };
        [(a, self.a), (b, self.b)]
    }

    /// The slots of the shader that depend on tile and layouts.
    pub fn slots(&self) -> Vec<(&'static str, String)> {
        vec![
            ("units", self.units()),
            ("layout", self.layout()),
            ("sums", self.sums()),
            ("first", self.first()),
            ("load", self.load()),
            ("four", self.four()),
            ("keep", self.keep()),
            ("finish", self.finish()),
        ]
    }

    fn units(&self) -> String {
        let unit = |name: char, binding: u32, layout: Layout| match layout.fours {
            true => format!("alias {name}Unit = vec4<T{binding}>;\n"),
            false => format!("alias {name}Unit = T{binding};\n"),
        };
        unit('A', 8, self.a) + &unit('B', 9, self.b)
    }

    /// The functions of addresses, and the loads.
    fn layout(&self) -> String {
        let mut text = line_function("row_of", ("y", "TALL"), "i", self.a)
            + &line_function("col_of", ("x", "WIDE"), "j", self.b);
        for (side, layout) in self.sides() {
            let name = side.name;
            let (first, second) = if layout.along_k { ("line", "s") } else { ("k", "line") };
            let cell = cell_place(layout, side.lines, self.tile.slab);
            let _ = writeln!(text, "fn {name}_at({first}: u32, {second}: u32) -> u32 {{ return {cell}; }}");
            let across = across(layout, side.lines, self.tile.slab);
            let _ = writeln!(
                text,
                "fn {name}_place(id: u32) -> u32 {{ return {name}_at(id / {across}u, id % {across}u); }}"
            );
            text.push_str(&load_function(&side, layout, across));
        }
        text
    }

    /// Vectors of four sums of each row of an invocation.
    fn quads(&self) -> usize {
        self.tile.each_cols / 4
    }

    fn sums(&self) -> String {
        let mut text = String::new();
        for i in 0..self.tile.each_rows {
            for h in 0..self.quads() {
                let _ = writeln!(text, "    var c{i}_{h} = vec4<f32>();");
            }
        }
        for g in 0..self.row_groups() {
            let _ = writeln!(text, "    var r{g} = vec4<f32>();");
        }
        text
    }

    /// Vectors of the sums of an invocation's rows of A.
    fn row_groups(&self) -> usize {
        if self.row_sum { self.tile.each_rows / 4 } else { 0 }
    }

    /// The loads of an invocation: operand, number and cells of the slab before this load's.
    fn loads(&self) -> Vec<(char, usize, usize, bool)> {
        let all = self.tile.invocations();
        let mut loads = Vec::new();
        for (name, cells) in [('a', self.tile.a_cells()), ('b', self.tile.b_cells())] {
            loads.extend((0..cells.div_ceil(all)).map(|u| (name, u, u * all, cells < all)));
        }
        loads
    }

    fn fetch(&self, k: &str, more: &str) -> String {
        let mut text = String::new();
        for &(name, u, ..) in &self.loads() {
            let _ = writeln!(text, "        var {name}{u} = vec4<f32>();");
        }
        let mut body = String::new();
        for (name, u, past, part) in self.loads() {
            let first = if name == 'a' { "row0" } else { "col0" };
            let load =
                format!("{name}{u} = {name}_load(batch, {first}, {k}, end, {});", address("lane", past));
            let _ = match self.guard(name, part) {
                Some(guard) => writeln!(body, "            if ({guard}) {{ {load} }}"),
                None => writeln!(body, "            {load}"),
            };
        }
        let _ = write!(text, "        if ({more}) {{\n{body}        }}\n");
        text
    }

    /// The condition of a load where there are more invocations than cells.
    fn guard(&self, name: char, part: bool) -> Option<String> {
        let cells = if name == 'a' { self.tile.a_cells() } else { self.tile.b_cells() };
        part.then(|| format!("lane < {cells}u"))
    }

    fn place(&self) -> String {
        let mut text = String::new();
        for (name, u, past, part) in self.loads() {
            let begin = if name == 'a' { "at" } else { "at + A_CELLS" };
            let keep = format!("cells[{begin} + {name}_place({})] = {name}{u};", address("lane", past));
            let _ = match self.guard(name, part) {
                Some(guard) => writeln!(text, "            if ({guard}) {{ {keep} }}"),
                None => writeln!(text, "            {keep}"),
            };
        }
        text
    }

    fn first(&self) -> String {
        format!(
            "    {{\n        let at = 0u;\n{}{}    }}\n",
            self.fetch("start", "start < end"),
            self.place()
        )
    }

    fn load(&self) -> String {
        self.fetch("k0 + SLAB", "more")
    }

    fn keep(&self) -> String {
        let before = match self.tile.buffers {
            1 => "            workgroupBarrier();\n",
            _ => "            at = SWAP - at;\n",
        };
        format!("{before}{}", self.place())
    }

    /// Four of K: the cells of A and B that an invocation reads, and their products.
    fn four(&self) -> String {
        let mut text = String::new();
        if self.b.along_k {
            for j in 0..self.tile.each_cols {
                let _ =
                    writeln!(text, "            let v{j} = cells[at + A_CELLS + b_at(col_of(x, {j}u), s)];");
            }
            for (kk, c) in COMPONENTS.iter().enumerate() {
                for h in 0..self.quads() {
                    let of = |j: usize| format!("v{}.{c}", 4 * h + j);
                    let all = [of(0), of(1), of(2), of(3)].join(", ");
                    let _ = writeln!(text, "            let w{kk}_{h} = vec4<f32>({all});");
                }
            }
        }
        if self.a.along_k {
            (0..4).for_each(|kk| self.b_cells_of(kk, &mut text));
            for i in 0..self.tile.each_rows {
                let _ = writeln!(text, "            let u{i} = cells[at + a_at(row_of(y, {i}u), s)];");
                for (kk, c) in COMPONENTS.iter().enumerate() {
                    self.products(i, &format!("u{i}.{c}"), kk, &mut text);
                }
                if self.row_sum {
                    let (g, c) = (i / 4, COMPONENTS[i % 4]);
                    let _ = writeln!(text, "            r{g}.{c} += (u{i}.x + u{i}.y) + (u{i}.z + u{i}.w);");
                }
            }
            return text;
        }
        for kk in 0..4 {
            self.b_cells_of(kk, &mut text);
            for g in 0..self.tile.each_rows / 4 {
                let line = address("y", 0) + &if g > 0 { format!(" + TALL * {g}u") } else { String::new() };
                let k = address("4u * s", kk);
                let _ = writeln!(text, "            let u{kk}_{g} = cells[at + a_at({k}, {line})];");
                for (i, c) in COMPONENTS.iter().enumerate() {
                    self.products(4 * g + i, &format!("u{kk}_{g}.{c}"), kk, &mut text);
                }
                if self.row_sum {
                    let _ = writeln!(text, "            r{g} += u{kk}_{g};");
                }
            }
        }
        text
    }

    /// The cells of B at one of the four places along K, where B lies along N.
    fn b_cells_of(&self, kk: usize, text: &mut String) {
        if !self.b.along_k {
            let k = address("4u * s", kk);
            for h in 0..self.quads() {
                let line = if h > 0 { format!("x + WIDE * {h}u") } else { "x".to_owned() };
                let _ =
                    writeln!(text, "            let w{kk}_{h} = cells[at + A_CELLS + b_at({k}, {line})];");
            }
        }
    }

    fn products(&self, row: usize, factor: &str, kk: usize, text: &mut String) {
        for h in 0..self.quads() {
            let _ = writeln!(text, "            c{row}_{h} += {factor} * w{kk}_{h};");
        }
    }

    fn finish(&self) -> String {
        let (rows, quads) = (self.tile.each_rows, self.quads());
        if self.tile.slices > 1 {
            return self.finish_slices();
        }
        let unrolled = if self.epilogue_flops <= SHORT { UNROLLED } else { 4 };
        let turn = (unrolled / self.tile.each_cols).clamp(1, rows);
        let mut body = String::new();
        for q in 0..turn {
            for h in 0..quads {
                let i = if turn == rows { format!("{q}u") } else { address("i", q) };
                let _ = writeln!(
                    body,
                    "        store_four(group.z, row0 + row_of(y, {i}), col0, x, {}u, c{q}_{h});",
                    4 * h
                );
            }
        }
        let mut text = if turn == rows {
            body
        } else {
            // The sums move up, so that no register is indexed.
            for i in turn..rows {
                for h in 0..quads {
                    let _ = writeln!(body, "        c{}_{h} = c{i}_{h};", i - turn);
                }
            }
            format!("    for (var i = 0u; i < {rows}u; i += {turn}u) {{\n{body}    }}\n")
        };
        if self.row_sum {
            text.push_str("    if (group.x == 0u && x == 0u) {\n");
            for i in 0..rows {
                let (g, c) = (i / 4, COMPONENTS[i % 4]);
                let _ = writeln!(text, "        store_row_sum(row0 + row_of(y, {i}u), r{g}.{c});");
            }
            text.push_str("    }\n");
        }
        text
    }

    /// The partial tiles of the slices are added in their order, four elements an invocation.
    fn finish_slices(&self) -> String {
        let mut text = String::from("    workgroupBarrier();\n");
        for i in 0..4 {
            let part = address("slice * 4u", i);
            let _ = writeln!(text, "    cells[({part}) * TALL * WIDE + y * WIDE + x] = c{i}_0;");
        }
        text.push_str(
            "    workgroupBarrier();
    if (lane < 4u * TALL * WIDE) {
        var total = cells[lane];
        for (var other = 1u; other < SLICES; other++) {
            total += cells[other * 4u * TALL * WIDE + lane];
        }
        store_four(group.z, row0 + row_of(lane / WIDE % TALL, lane / (TALL * WIDE)), col0, lane % WIDE, 0u, total);
    }
",
        );
        if self.row_sum {
            text.push_str(
                "    workgroupBarrier();
    if (x == 0u) { cells[slice * TALL + y] = r0; }
    workgroupBarrier();
    if (group.x == 0u && lane < TALL) {
        var sums = cells[lane];
        for (var other = 1u; other < SLICES; other++) {
            sums += cells[other * TALL + lane];
        }
        store_row_sum(row0 + row_of(lane, 0u), sums.x);
        store_row_sum(row0 + row_of(lane, 1u), sums.y);
        store_row_sum(row0 + row_of(lane, 2u), sums.z);
        store_row_sum(row0 + row_of(lane, 3u), sums.w);
    }
",
            );
        }
        text
    }
}

const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// `base + past`, without a term that is 0.
fn address(base: &str, past: usize) -> String {
    if past == 0 { base.to_owned() } else { format!("{base} + {past}u") }
}

/// The function from the number of a row or column of an invocation to its place in the tile. An operand along K has its
/// lines one by one; else four lines lie in a cell.
fn line_function(name: &str, (at, count): (&str, &str), i: &str, layout: Layout) -> String {
    let line = match layout.along_k {
        true => format!("{at} + {count} * {i}"),
        false => format!("4u * ({at} + {count} * ({i} / 4u)) + {i} % 4u"),
    };
    format!("fn {name}({at}: u32, {i}: u32) -> u32 {{ return {line}; }}\n")
}

/// Cells from one line, or from one place along K, to the next.
fn across(layout: Layout, lines: usize, slab: usize) -> usize {
    if layout.along_k { slab / 4 } else { lines / 4 }
}

/// The place of a cell in its slab, an expression of `line` and `s`, or of `k` and `line`. Memory has 32 banks of a number
/// each, so eight cells are a turn of all. Lines of fewer cells share a turn; those that come to the same banks take their
/// cells in another order.
fn cell_place(layout: Layout, lines: usize, slab: usize) -> String {
    let across = across(layout, lines, slab);
    if !layout.along_k {
        return format!("k * {across}u + line");
    }
    let (together, orders) = ((8 / across).max(1), across.min(8));
    format!("line * {across}u + (s ^ ((line / {together}u) % {orders}u))")
}

/// The function that loads a cell by its number.
fn load_function(side: &Side, layout: Layout, across: usize) -> String {
    let Side { name, count, line_stride, k_stride, .. } = side;
    let upper = name.to_ascii_uppercase();
    let begin = format!("{upper}_OFFSET + z * {upper}_BATCH");
    let head =
        format!("fn {name}_load(z: u32, first: u32, k0: u32, end: u32, id: u32) -> vec4<f32> {{\n    ");
    let four = format!("vec4<f32>({name}[p / 4u])");
    let numbers = format!(
        "vec4<f32>(f32({name}[p + q.x]), f32({name}[p + q.y]), f32({name}[p + q.z]), f32({name}[p + q.w]))"
    );
    let upwards = "vec4<u32>(0u, 1u, 2u, 3u)";
    let of_each = |number: &dyn Fn(char) -> String| ['x', 'y', 'z', 'w'].map(number).join(", ");
    let body = match (layout.along_k, layout.fours) {
        (true, _) if layout.mapped => format!(
            "let line = {name}_line(z, min(first + id / {across}u, {count} - 1u));
    let k = vec4<u32>(k0 + id % {across}u * 4u) + {upwards};
    let q = min(k, vec4<u32>(end - 1u));
    return select(vec4<f32>(), vec4<f32>({}), k < vec4<u32>(end));",
            of_each(&|c| format!("{name}_number(line, {name}_step(q.{c}))"))
        ),
        (false, _) if layout.mapped => format!(
            "let line = vec4<u32>(first + id % {across}u * 4u) + {upwards};
    let k = k0 + id / {across}u;
    let step = {name}_step(min(k, end - 1u));
    let q = min(line, vec4<u32>({count} - 1u));
    return select(vec4<f32>(), vec4<f32>({}), k < end);",
            of_each(&|c| format!("{name}_number({name}_line(z, q.{c}), step)"))
        ),
        (true, true) => format!(
            "let line = min(first + id / {across}u, {count} - 1u);
    let k = k0 + id % {across}u * 4u;
    let p = {begin} + line * {line_stride} + min(k, end - 4u);
    return select(vec4<f32>(), {four}, k < end);"
        ),
        (false, true) => format!(
            "let line = min(first + id % {across}u * 4u, {count} - 4u);
    let k = k0 + id / {across}u;
    let p = {begin} + line + min(k, end - 1u) * {k_stride};
    return select(vec4<f32>(), {four}, k < end);"
        ),
        (true, false) => format!(
            "let line = min(first + id / {across}u, {count} - 1u);
    let k = vec4<u32>(k0 + id % {across}u * 4u) + {upwards};
    let p = {begin} + line * {line_stride};
    let q = min(k, vec4<u32>(end - 1u)) * {k_stride};
    return select(vec4<f32>(), {numbers}, k < vec4<u32>(end));"
        ),
        (false, false) => format!(
            "let line = vec4<u32>(first + id % {across}u * 4u) + {upwards};
    let k = k0 + id / {across}u;
    let p = {begin} + min(k, end - 1u) * {k_stride};
    let q = min(line, vec4<u32>({count} - 1u)) * {line_stride};
    return select(vec4<f32>(), {numbers}, k < end);"
        ),
    };
    format!("{head}{body}\n}}\n")
}

#[cfg(test)]
mod tests;
