//! Finds a quote that is never closed. A CSV parser takes all that follows it for one cell.

/// Follows the text of a CSV file byte by byte, by the rules of the parser: a cell that begins with a quote goes on to
/// the next one, and two quotes within it are one.
#[derive(Debug, Clone)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
    line: u64,
    /// Records before this one; the first is the header.
    record: u64,
    /// A byte of this record was there.
    begun: bool,
    /// Record and line at which the last quote was opened.
    opened: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Before the first byte of a cell.
    Start,
    Plain,
    Quoted,
    /// After a quote within a quoted cell: its end, or the first of two.
    Quote,
}

impl Quotes {
    pub fn new(delimiter: u8) -> Quotes {
        Quotes { delimiter, state: State::Start, line: 1, record: 0, begun: false, opened: (0, 0) }
    }

    /// Takes the next bytes.
    pub fn read(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.take(*byte));
    }

    fn take(&mut self, byte: u8) {
        let ends = matches!(byte, b'\r' | b'\n');
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => {}
            (State::Quote, b'"') => self.state = State::Quoted,
            (State::Start, b'"') => {
                (self.state, self.opened, self.begun) = (State::Quoted, (self.record, self.line), true)
            }
            (_, byte) if byte == self.delimiter => (self.state, self.begun) = (State::Start, true),
            _ if ends => {
                self.record += u64::from(self.begun);
                (self.state, self.begun) = (State::Start, false);
            }
            _ => (self.state, self.begun) = (State::Plain, true),
        }
        self.line += u64::from(byte == b'\n');
    }

    /// The fault, if the text ends here: where the quote was opened.
    pub fn fault(&self) -> Option<String> {
        let (record, line) = self.opened;
        let place = if record == 0 { format!("line {line}") } else { format!("row {record} (line {line})") };
        (self.state == State::Quoted).then(|| {
            format!(
                ", {place}: a quote is opened here and never closed; close it, or write two quotes for one that is part of a \
                 cell"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> Option<String> {
        let mut quotes = Quotes::new(b',');
        quotes.read(text.as_bytes());
        quotes.fault()
    }

    #[test]
    fn an_open_quote_has_its_row() {
        for closed in [
            "a,b\n1,2\n",
            "\"a\"\"b\",c\n\"x\ny\",2\n",
            "a\n5\" pipe\n",
            "a,b\n \"x,2\n",
            "",
            "a\n\"\"",
            "a\n\"x\"y\"",
        ] {
            assert_eq!(fault(closed), None, "{closed:?}");
        }
        for (open, place) in [
            ("a,b\n1,2\n\"3,4\n5,6\n", "row 2 (line 3)"),
            ("a,b\r\n\r\n\"x\r\ny\",2\r\n1,\"2\r\n", "row 2 (line 5)"),
            ("\"a,b\n1,2\n", ", line 1:"),
            ("a\n\"\"\"", "row 1 (line 2)"),
        ] {
            let text = fault(open).unwrap();
            assert!(text.contains(place) && text.contains("never closed"), "{open:?}: {text}");
        }
    }

    proptest! {
        /// A text is closed exactly if one more quote makes the parser see a cell that goes on.
        #[test]
        fn what_is_open_is_what_the_parser_takes_for_open(text in "[a\",\n]{0,12}") {
            let cells = |text: &str| {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
                let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
                records.iter().map(csv::StringRecord::len).sum::<usize>()
            };
            // A delimiter after an open quote is part of its cell; after a closed one, or none, it begins a cell.
            let more = format!("{text},x");
            let again = format!("{text}x");
            prop_assert_eq!(fault(&text).is_some(), cells(&more) == cells(&again), "{:?}", text);
        }
    }
}
