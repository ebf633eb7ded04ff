//! Records of comma-separated values (RFC 4180), with the place of each field, for whoever must find it in a file.

use std::io::{BufRead, ErrorKind};

use super::{BillDamage, Form, LONGEST_LINE, is_another};

/// One field, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Field {
    pub(super) text: String,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Field {
    /// Something is wrong with it.
    pub(super) fn damage(&self, what: String) -> BillDamage {
        BillDamage { line: self.line, column: self.column, what }
    }
}

/// Reads record after record.
#[derive(Debug)]
pub(super) struct Csv<R> {
    input: R,
    line: u64,
    column: u64,
}

/// Within a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first character of a field.
    Begin,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two that stand for one.
    Quote,
}

/// A record in the making.
struct Making {
    fields: Vec<Field>,
    bytes: Vec<u8>,
    begin: (u64, u64),
    state: State,
    size: usize,
}

impl<R: BufRead> Csv<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 1, column: 1 }
    }

    /// The next record that is not an empty line; `None`: the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Field>>, BillDamage> {
        loop {
            match self.record()? {
                Some(fields) if fields.len() == 1 && fields[0].text.is_empty() => {}
                record => return Ok(record),
            }
        }
    }

    /// Something is wrong where it has come to.
    pub(super) fn damage(&self, what: impl Into<String>) -> BillDamage {
        BillDamage { line: self.line, column: self.column, what: what.into() }
    }

    fn record(&mut self) -> Result<Option<Vec<Field>>, BillDamage> {
        let mut making = Making {
            fields: Vec::new(),
            bytes: Vec::new(),
            begin: (self.line, self.column),
            state: State::Begin,
            size: 0,
        };
        while let Some(byte) = self.byte()? {
            making.size += 1;
            if making.size > LONGEST_LINE {
                return Err(self.damage("the line is longer than any of a bill: this is no export"));
            }
            let is_end = making.take(byte).map_err(|what| self.damage(what))?;
            self.step(byte);
            if matches!(byte, b',' | b'\n') && making.state == State::Begin {
                making.finish_field((self.line, self.column))?;
            }
            if is_end {
                return Ok(Some(making.fields));
            }
        }
        match (making.state, making.size) {
            (State::Begin, 0) => Ok(None),
            (State::Quoted, _) => {
                Err(self.damage("the file ends within a quoted field: it was cut off"))
            }
            (State::Begin | State::Plain | State::Quote, _) => Err(self.damage(
                "the last line has no end: the file was cut off (or, if it is whole, add a line end)",
            )),
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, BillDamage> {
        let (is_first, line, column) = (self.line == 1 && self.column == 1, self.line, self.column);
        let damage = |what: String| BillDamage { line, column, what };
        let read = loop {
            match self.input.fill_buf() {
                Ok(bytes) if is_first => match is_another(Form::Aws, bytes) {
                    Some(what) => return Err(damage(what.to_owned())),
                    None => break bytes.first().copied(),
                },
                Ok(bytes) => break bytes.first().copied(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(damage(format!("the file cannot be read: {error}"))),
            }
        };
        if read.is_some() {
            self.input.consume(1);
        }
        Ok(read)
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'\n' => (self.line, self.column) = (self.line + 1, 1),
            // The later bytes of a character in UTF-8.
            0x80..=0xbf => {}
            _ => self.column += 1,
        }
    }
}

impl Making {
    /// Takes a byte; whether the record ends with it. The state is [`State::Begin`] after the last byte of a field.
    fn take(&mut self, byte: u8) -> Result<bool, &'static str> {
        match (self.state, byte) {
            (State::Begin | State::Plain | State::Quote, b'\n') => {
                self.state = State::Begin;
                return Ok(true);
            }
            (State::Begin | State::Plain | State::Quote, b',') => self.state = State::Begin,
            // Of a line end in two characters; alone it is nothing.
            (State::Begin | State::Plain | State::Quote, b'\r') => {}
            (State::Begin, b'"') => self.state = State::Quoted,
            (State::Plain, b'"') => {
                return Err("a quote within a field that does not begin with one");
            }
            (State::Begin | State::Plain, _) => {
                self.bytes.push(byte);
                self.state = State::Plain;
            }
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => self.bytes.push(byte),
            (State::Quote, b'"') => {
                self.bytes.push(byte);
                self.state = State::Quoted;
            }
            (State::Quote, _) => return Err("a field goes on behind its closing quote"),
        }
        Ok(false)
    }

    fn finish_field(&mut self, next: (u64, u64)) -> Result<(), BillDamage> {
        let (line, column) = std::mem::replace(&mut self.begin, next);
        let text = String::from_utf8(std::mem::take(&mut self.bytes)).map_err(|_| BillDamage {
            line,
            column,
            what: "the field is no text (not UTF-8)".to_owned(),
        })?;
        self.fields.push(Field { text, line, column });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> (Vec<Vec<String>>, Option<BillDamage>) {
        let mut csv = Csv::new(text);
        let mut records = Vec::new();
        loop {
            match csv.next() {
                Ok(Some(fields)) => {
                    records.push(fields.into_iter().map(|field| field.text).collect());
                }
                Ok(None) => return (records, None),
                Err(damage) => return (records, Some(damage)),
            }
        }
    }

    #[test]
    fn a_damage_is_told_with_its_place() {
        let place = |text: &[u8]| {
            let damage = read(text).1.unwrap();
            (damage.line, damage.column)
        };
        assert_eq!(place(b"a,b\n1,\xc3\xbc\"\n"), (2, 4));
        assert_eq!(place(b"a,b\n1,\"x\"y\n"), (2, 6));
        assert_eq!(place(b"a,b\n1,\"x\ny"), (3, 2));
        assert_eq!(place(b"a,b\n1,2"), (2, 4));
        assert_eq!(place(b"a,\xff\n"), (1, 3));
        assert!(read(&[0x1f, 0x8b, 8]).1.unwrap().what.contains("gunzip"));
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_rules_is_read_back(
            records in prop::collection::vec(prop::collection::vec("[a-c,\"\n\r ü]{0,6}", 2..5), 0..6),
            ends in prop::sample::select(vec!["\n", "\r\n"]),
        ) {
            let line = |record: &Vec<String>| {
                let fields = record.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
                fields.collect::<Vec<_>>().join(",") + ends
            };
            let text: String = records.iter().map(line).collect();
            prop_assert_eq!(read(text.as_bytes()), (records, None));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xff\xc3\xbc".to_vec()), 0..60)) {
            read(&bytes);
        }
    }
}
