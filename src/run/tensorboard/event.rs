//! TensorBoard's `Event` as protobuf: the few messages and fields that are written here.
//!
//! Source: `tensorboard/compat/proto/event.proto`, `summary.proto` and `histogram.proto`. As proto3 has it, a number that
//! is 0 is left out, but for one of a `oneof`, whose presence says which it is.

/// A moment of a run.
pub(super) struct Event<'a> {
    /// Seconds since 1970.
    pub wall_time: f64,
    pub step: u64,
    pub what: What<'a>,
}

/// The content of an event.
pub(super) enum What<'a> {
    /// The first one of a file.
    FileVersion(&'static str),
    /// Numbers by their tags.
    Summary(&'a [(&'a str, Summary<'a>)]),
    /// The run resumes here: earlier records of this step and of later ones are void.
    SessionStart,
}

/// One of the numbers of an event.
pub(super) enum Summary<'a> {
    Scalar(f32),
    Histogram(&'a Histogram),
}

/// How numbers are distributed, as TensorBoard's `HistogramProto`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// The smallest number.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there are.
    pub num: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// The upper limit of each bucket, growing; a bucket begins at the limit of the one before it.
    pub bucket_limit: Vec<f64>,
    /// How many numbers are in each bucket.
    pub bucket: Vec<f64>,
}

impl Event<'_> {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Message::default();
        out.double(1, self.wall_time);
        out.whole(2, self.step);
        match self.what {
            What::FileVersion(version) => out.bytes(3, version.as_bytes()),
            What::Summary(values) => {
                let mut summary = Message::default();
                values.iter().for_each(|(tag, value)| summary.bytes(1, &value.encode(tag)));
                out.bytes(5, &summary.0);
            }
            What::SessionStart => {
                let mut log = Message::default();
                log.whole(1, 1);
                out.bytes(7, &log.0);
            }
        }
        out.0
    }
}

impl Summary<'_> {
    fn encode(&self, tag: &str) -> Vec<u8> {
        let mut out = Message::default();
        out.bytes(1, tag.as_bytes());
        match self {
            Summary::Scalar(value) => out.float(2, *value),
            Summary::Histogram(histogram) => out.bytes(5, &histogram.encode()),
        }
        out.0
    }
}

impl Histogram {
    fn encode(&self) -> Vec<u8> {
        let mut out = Message::default();
        let numbers = [self.min, self.max, self.num, self.sum, self.sum_squares];
        (1..).zip(numbers).for_each(|(field, number)| out.double(field, number));
        out.doubles(6, &self.bucket_limit);
        out.doubles(7, &self.bucket);
        out.0
    }
}

/// Fields one after the other, each a key, its number times 8 plus the kind of its value, and the value.
#[derive(Default)]
struct Message(Vec<u8>);

/// The kinds of values: seven bits a byte, the lowest first; eight bytes; a length and that many bytes; four bytes.
const VARINT: u64 = 0;
const EIGHT: u64 = 1;
const LENGTH: u64 = 2;
const FOUR: u64 = 5;

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn whole(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
    }

    fn double(&mut self, field: u64, value: f64) {
        // Minus zero is not left out.
        if value.to_bits() != 0 {
            self.key(field, EIGHT);
            self.0.extend(value.to_le_bytes());
        }
    }

    fn doubles(&mut self, field: u64, values: &[f64]) {
        if !values.is_empty() {
            self.bytes(field, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        }
    }

    /// A field of a `oneof`: written whatever its value is.
    fn float(&mut self, field: u64, value: f32) {
        self.key(field, FOUR);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}
