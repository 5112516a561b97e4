//! The colours of figures and pages, as people see them who see few: each pair can be told apart.
//!
//! Matrices of full protanopia, deuteranopia and tritanopia on linear RGB: Machado, Oliveira and Fernandes, "A
//! Physiologically-based Model for Simulation of Color Vision Deficiency", 2009. Distances in CIE Lab (1976), D65.

use downhill::figure::COLOURS;

type Rgb = [f64; 3];
type Matrix = [Rgb; 3];

const SIGHTS: [(&str, Matrix); 4] = [
    ("all colours", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "protanopia",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

/// The least distance of two colours; a just noticeable one is about 2.3.
const APART: f64 = 15.0;
/// The least distance of a colour from the ground.
const FROM_GROUND: f64 = 30.0;

fn times(matrix: &Matrix, x: Rgb) -> Rgb {
    matrix.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
}

/// A colour `#rrggbb` in linear light.
fn linear(hex: &str) -> Rgb {
    std::array::from_fn(|i| {
        let byte = u8::from_str_radix(&hex[1 + 2 * i..3 + 2 * i], 16).expect("two digits");
        let c = f64::from(byte) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn lab(rgb: Rgb) -> Rgb {
    const XYZ: Matrix = [
        [0.412_456_4, 0.357_576_1, 0.180_437_5],
        [0.212_672_9, 0.715_152_2, 0.072_175_0],
        [0.019_333_9, 0.119_192_0, 0.950_304_1],
    ];
    let [x, y, z] = times(&XYZ, rgb);
    let f = |t: f64| if t > 216.0 / 24_389.0 { t.cbrt() } else { (24_389.0 / 27.0 * t + 16.0) / 116.0 };
    let [x, y, z] = [x / 0.950_47, y, z / 1.088_83].map(f);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(a: Rgb, b: Rgb) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The colours `--c0` to `--c6` and the ground of each block of the style: light, dark, print.
fn palettes() -> Vec<(String, Vec<String>)> {
    let style = include_str!("../../src/figure/page.css");
    let named = |block: &str, name: &str| {
        let value = block.split(&format!("--{name}: ")).nth(1)?.split(';').next()?.to_owned();
        Some(if value == "#fff" { "#ffffff".to_owned() } else { value })
    };
    let blocks = style.split(":root {").skip(1).filter(|block| block.contains("--c0"));
    blocks
        .map(|block| {
            let block = block.split('}').next().expect("a block");
            let colours = (0..7).map(|i| named(block, &format!("c{i}")).expect("a colour")).collect();
            (named(block, "bg").expect("a ground"), colours)
        })
        .collect()
}

#[test]
fn colours_can_be_told_apart_by_those_who_see_few() {
    let mut all = palettes();
    assert_eq!(all.len(), 3, "light, dark and print");
    assert_eq!(all[0].1, COLOURS.map(str::to_owned), "a page in the light has the colours of a file");
    all.push(("#ffffff".to_owned(), COLOURS.map(str::to_owned).to_vec()));
    for (ground, colours) in &all {
        for (sight, matrix) in &SIGHTS {
            let seen = |hex: &String| lab(times(matrix, linear(hex)).map(|c| c.clamp(0.0, 1.0)));
            for (i, a) in colours.iter().enumerate() {
                let from_ground = distance(seen(a), seen(ground));
                assert!(from_ground >= FROM_GROUND, "{sight}: {a} on {ground}: {from_ground:.1}");
                for b in &colours[..i] {
                    let apart = distance(seen(a), seen(b));
                    assert!(apart >= APART, "{sight}: {a} beside {b} on {ground}: {apart:.1}");
                }
            }
        }
    }
}

#[test]
fn distances_are_those_of_the_book() {
    // White, black and red in Lab.
    assert!(distance(lab(linear("#ffffff")), [100.0, 0.0, 0.0]) < 0.02);
    assert!(distance(lab(linear("#000000")), [0.0, 0.0, 0.0]) < 1e-9);
    assert!(distance(lab(linear("#ff0000")), [53.24, 80.09, 67.20]) < 0.05);
}
