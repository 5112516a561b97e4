//! Folders as they may be, headers that lie, bytes that are damaged.

use proptest::prelude::*;

use super::*;
use crate::data::Kind;

/// The pixels of an image, row by row; pixel (x, y) is x + 10·y, and in colour its channels go up by 1.
fn pixels(width: u32, height: u32, colour: bool) -> Vec<u8> {
    let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x + 10 * y) as u8));
    rows.flat_map(|grey| (0..if colour { 3 } else { 1 }).map(move |c| grey + c)).collect()
}

fn png_of(width: u32, height: u32, colour: bool, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(if colour { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels)).unwrap();
    bytes
}

fn png(width: u32, height: u32) -> Vec<u8> {
    png_of(width, height, false, &pixels(width, height, false))
}

fn colour_png(width: u32, height: u32) -> Vec<u8> {
    png_of(width, height, true, &pixels(width, height, true))
}

fn jpeg(width: u16, height: u16, colour: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let kind = if colour { jpeg_encoder::ColorType::Rgb } else { jpeg_encoder::ColorType::Luma };
    let pixels = pixels(width.into(), height.into(), colour);
    jpeg_encoder::Encoder::new(&mut bytes, 75).encode(&pixels, width, height, kind).unwrap();
    bytes
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn of(files: &[(&str, Vec<u8>)]) -> Dir {
        let dir = Dir(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, bytes)| dir.put(name, bytes));
        dir
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn load(&self, options: &ImageOptions) -> Result<Dataset> {
        images(self.0.path(), options)
    }
}

fn all() -> ImageOptions {
    let hold = Holdout { fraction: 0.0, ..Holdout::new(0) };
    ImageOptions { hold, normalise: Normalise::None, ..ImageOptions::new(0) }
}

#[track_caller]
fn assert_refused(result: Result<Dataset>, words: &[&str]) {
    let err = result.unwrap_err();
    for word in words {
        assert!(err.to_string().contains(word), "{word}: {err}");
    }
}

#[test]
fn classes_are_folders_and_images_are_sorted() {
    let colour = colour_png(3, 2);
    let dir = Dir::of(&[("dog/b.png", png(3, 2)), ("cat/z.PNG", png(3, 2)), ("dog/a.png", colour)]);
    dir.put("dog/notes.txt", b"passed over");
    dir.put(".hidden/x.png", b"passed over");
    let data = dir.load(&all()).unwrap();
    let x = data.train().inputs();
    assert_eq!((data.classes(), x.shape().to_vec(), x.values().kind()), (Some(2), vec![3, 2, 3], Kind::U8));
    let labels: Vec<f64> = (0..3).map(|i| data.train().targets().sample(i).unwrap()[0]).collect();
    assert_eq!(labels, [0.0, 1.0, 1.0]);
    let grey = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
    assert_eq!(x.sample(0).unwrap(), grey.repeat(3));
    let up = [0.0, 1.0, 2.0].map(|c| grey.map(|v| v + c)).concat();
    assert_eq!(x.sample(1).unwrap(), up, "channel by channel");
    let Some(Encoding::Images(encoding)) = data.encoding() else { panic!("images") };
    assert_eq!(encoding.classes, ["cat", "dog"]);
    let next = encoding.encode(&dir.0.path().join("dog/a.png")).unwrap();
    assert_eq!(next, up.iter().map(|&v| v as f32).collect::<Vec<_>>());
    // Any numbers, across the borders of images.
    let whole: Vec<u8> = (0..3).flat_map(|i| x.sample(i).unwrap()).map(|v| v as u8).collect();
    for from in 0..whole.len() {
        for to in from..=whole.len() {
            let mut some = vec![0; to - from];
            x.values().read(from, &mut some).unwrap();
            assert_eq!(some, whole[from..to], "{from}..{to}");
        }
    }
}

#[test]
fn many_images_are_decoded_in_their_order() {
    let dir = Dir::of(&[]);
    for i in 0..50 {
        dir.put(&format!("a/{i:02}.png"), &png_of(2, 1, false, &[i * 2, i * 2 + 1]));
    }
    let data = dir.load(&all()).unwrap();
    let mut read = vec![0; 97];
    data.train().inputs().values().read(1, &mut read).unwrap();
    assert!(read.into_iter().eq(1..98));
}

#[test]
fn a_folder_may_have_its_own_part_to_evaluate_on() {
    let dir =
        Dir::of(&[("train/a/1.png", png(2, 2)), ("train/b/1.png", png(2, 2)), ("val/b/2.png", png(2, 2))]);
    assert!(images_have_eval(dir.0.path()));
    let data = dir.load(&ImageOptions::new(0)).unwrap();
    let eval = data.eval().unwrap();
    assert_eq!((data.train().len(), eval.len(), eval.targets().sample(0).unwrap()), (2, 1, vec![1.0]));
    dir.put("val/horse/1.png", &png(2, 2));
    assert_refused(dir.load(&all()), &["val/horse", "\"horse\" is no class of", "there are: a, b"]);
    // A folder of that name with images in it is a class.
    let dir = Dir::of(&[("train/1.png", png(2, 2)), ("plane/1.png", png(2, 2))]);
    assert_eq!(dir.load(&all()).unwrap().classes(), Some(2));
}

#[test]
fn faults_name_the_file_and_the_remedy() {
    assert_refused(Dir::of(&[]).load(&all()), &["no folder of a class"]);
    assert_refused(images(Path::new("/no/such"), &all()), &["/no/such"]);
    assert_refused(Dir::of(&[("a/x.txt", vec![])]).load(&all()), &["/a", "no image"]);
    let beside = Dir::of(&[("a/1.png", png(2, 2)), ("1.png", png(2, 2))]);
    assert_refused(beside.load(&all()), &["1.png", "folder of its class"]);
    assert_refused(Dir::of(&[("a/b/1.png", png(2, 2))]).load(&all()), &["a/b", "within the class \"a\""]);
    assert_refused(
        Dir::of(&[("a/1.gif", vec![])]).load(&all()),
        &["1.gif", "PNG and JPEG", "write it as PNG"],
    );
    let sizes = Dir::of(&[("a/1.png", png(4, 2)), ("a/2.png", png(4, 2)), ("b/3.png", png(2, 4))]);
    assert_refused(sizes.load(&all()), &["3.png is 2 × 4", "1.png 4 × 2", "size = [2, 4]"]);
    let one = |bytes: &[u8]| Dir::of(&[("a/1.png", bytes.to_vec())]).load(&all());
    assert_refused(one(b"GIF89a.."), &["1.png, byte 0", "but GIF"]);
    assert_refused(one(b"text of some"), &["1.png, byte 0", "no PNG and no JPEG"]);
    assert_refused(one(b""), &["1.png, byte 0", "ends at byte 0"]);
    assert_refused(one(&png(4, 2)[..20]), &["1.png", "ends at byte 20"]);
    let config = |options| Dir::of(&[("a/1.png", png(4, 2))]).load(&options);
    assert_refused(config(ImageOptions { channels: Some(2), ..all() }), &["channels = 2", "1 (grey) or 3"]);
    assert_refused(config(ImageOptions { size: Some([0, 2]), ..all() }), &["size = [0, 2]", "at least 1"]);
}

#[test]
fn an_image_that_changes_during_a_run_is_told() {
    let jpeg = jpeg(16, 16, true);
    let dir = Dir::of(&[("a/1.jpg", jpeg.clone()), ("a/2.png", colour_png(16, 16))]);
    let data = dir.load(&all()).unwrap();
    let read = |i| data.train().inputs().sample(i).map_err(|err| err.to_string());
    assert!(read(0).is_ok() && read(1).is_ok());
    dir.put("a/1.jpg", &jpeg[..jpeg.len() - 20]);
    assert!(read(0).unwrap_err().contains("1.jpg") && read(0).unwrap_err().contains("cut short"));
    let mut damaged = colour_png(16, 16);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    dir.put("a/2.png", &damaged);
    assert!(read(1).unwrap_err().contains("2.png: no whole PNG"), "{:?}", read(1));
    dir.put("a/2.png", &png(8, 16));
    assert!(read(1).unwrap_err().contains("8 × 16 pixels, and 16 × 16 are needed"));
    std::fs::remove_file(dir.0.path().join("a/2.png")).unwrap();
    assert!(read(1).unwrap_err().contains("2.png"));
}

/// A header is compared with the length of its file.
#[test]
fn headers_that_lie_take_no_memory() {
    let with_size = |width: u32, height: u32| {
        let mut bytes = png(4, 2);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        Dir::of(&[("a/1.png", bytes)]).load(&all())
    };
    assert_refused(with_size(0, 5), &["byte 16", "which is none"]);
    assert_refused(with_size(u32::MAX, u32::MAX), &["byte 16", "at most are read"]);
    assert_refused(with_size(8192, 8192), &["byte 16", "more than deflate can make"]);
    let mut jpeg = jpeg(16, 16, false);
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0xff, 0x1f, 0xff]);
    let place = format!("byte {}", frame + 5);
    assert_refused(Dir::of(&[("a/1.jpg", jpeg.clone())]).load(&all()), &[&place, "more than a JPEG of"]);
    jpeg[frame + 1] = 0xc9;
    assert_refused(Dir::of(&[("a/1.jpg", jpeg)]).load(&all()), &[&format!("byte {frame}"), "arithmetic"]);
}

#[test]
fn rules_make_numbers_of_bytes() {
    let dir = Dir::of(&[("a/1.png", png(2, 1)), ("a/2.png", colour_png(2, 1))]);
    let first = |normalise| {
        let data = dir.load(&ImageOptions { normalise, ..all() }).unwrap();
        data.train().inputs().sample(1).unwrap()
    };
    // Channel c of the two images has 0, 1, c, 1 + c.
    let unit = [0.0, 1.0, 1.0, 2.0, 2.0, 3.0].map(|v: f32| f64::from(v * (1.0 / 255.0)));
    assert_eq!(first(Normalise::Unit), unit);
    let by = first(Normalise::Fixed { mean: vec![0.5], std: vec![0.25] });
    let near = |found: &[f64], want: &[f64]| found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(&by, &unit.map(|v| (v - 0.5) / 0.25)), "{by:?}");
    let standard = first(Normalise::Standard);
    let (mean, std) = ([0.5, 1.0, 1.5], [0.25f64, 0.5, 1.25].map(f64::sqrt));
    let want: Vec<f64> = (0..6).map(|i| ((i / 2 + i % 2) as f64 - mean[i / 2]) / std[i / 2]).collect();
    assert!(near(&standard, &want), "{standard:?} {want:?}");
    let refuse = |mean: &[f64], std: &[f64]| {
        let normalise = Normalise::Fixed { mean: mean.to_vec(), std: std.to_vec() };
        dir.load(&ImageOptions { normalise, ..all() })
    };
    assert_refused(refuse(&[0.5, 0.5], &[0.5, 0.5]), &["2 means and 2", "[3, 1, 2]"]);
    assert_refused(refuse(&[0.5], &[0.0]), &["a std of 0", "above 0"]);
    assert_refused(refuse(&[f64::NAN], &[1.0]), &["normalise", "finite"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Damaged bytes are read or refused, and what is refused is named.
    #[test]
    fn damaged_images_are_read_or_refused(
        as_jpeg: bool,
        colour: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = match (as_jpeg, colour) {
            (true, _) => jpeg(13, 9, colour),
            (false, true) => colour_png(13, 9),
            (false, false) => png(13, 9),
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = Dir::of(&[("a/1.png", bytes)]);
        let options = ImageOptions { size: Some([5, 4]), ..all() };
        let read = dir.load(&options).and_then(|data| data.train().inputs().sample(0));
        match read {
            Ok(pixels) => prop_assert!(pixels.len() == 20 || pixels.len() == 60),
            Err(err) => prop_assert!(matches!(&err, Error::Data(text) if text.contains("1.png")), "{}", err),
        }
    }
}
