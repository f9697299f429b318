//! Splits a stream of records: NDJSON, a JSON array, or CSV with a header line.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{self, BufRead, Read},
    rc::Rc,
};

use super::{
    fields::{ComparedFields, shown},
    record::{Parsed, Values, from_json},
};

/// The maximum size of one record, in bytes. A larger one cannot be read; the records after it are.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The format of the records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// One JSON object in each line (`application/x-ndjson`), or a JSON array of objects (`application/json`): the first
    /// character decides.
    Json,
    /// Comma-separated values with a header line (`text/csv`).
    Csv,
}

/// Why the records as a whole could not be read.
#[derive(Debug)]
pub(super) enum InputError {
    /// A sentence.
    Invalid(String),
    /// The stream broke.
    Io(io::Error),
}

impl From<io::Error> for InputError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes the records of a stream, in order.
pub(super) trait RecordSink {
    /// Takes a record, or the reason why it cannot be read. Ends the reading with `Err`.
    fn take(&mut self, record: Result<Parsed<'_>, String>) -> Result<(), InputError>;
}

/// Reads all records of a stream.
pub(super) fn read(
    mut input: impl BufRead,
    format: RecordFormat,
    compared: &ComparedFields,
    sink: &mut impl RecordSink,
) -> Result<(), InputError> {
    skip_byte_order_mark(&mut input)?;
    match format {
        RecordFormat::Csv => read_csv(input, compared, sink),
        RecordFormat::Json => match first_character(&mut input)? {
            None => Ok(()),
            Some(b'[') => read_array(input, compared, sink),
            Some(_) => read_lines(input, compared, sink),
        },
    }
}

fn skip_byte_order_mark(input: &mut impl BufRead) -> io::Result<()> {
    if input.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    Ok(())
}

/// The first character that is not white space. It stays in the stream.
fn first_character(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let first = buffer.get(blank).copied();
        input.consume(blank);
        if first.is_some() {
            return Ok(first);
        }
    }
}

fn read_lines(
    mut input: impl BufRead,
    compared: &ComparedFields,
    sink: &mut impl RecordSink,
) -> Result<(), InputError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let is_too_long = !read_line(&mut input, &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let is_last = line.last() != Some(&b'\n');
        if is_too_long {
            sink.take(Err(format!("it has more than {MAX_RECORD_BYTES} bytes")))?;
        } else if !line.iter().all(u8::is_ascii_whitespace) {
            sink.take(from_json(&line, compared).map_err(|why| {
                let is_half = is_last && why.contains("EOF while parsing");
                if is_half { format!("the stream ends in the middle of the record: {why}") } else { why }
            }))?;
        }
    }
}

/// Reads up to the end of a line, or of the stream. Returns `false` for a line that is too long, after it is skipped;
/// the start of it is in `line`.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    input.by_ref().take(MAX_RECORD_BYTES as u64 + 1).read_until(b'\n', line)?;
    let fits = line.len() <= MAX_RECORD_BYTES;
    if !fits && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(fits)
}

/// Reads the items of a JSON array. Each item is found by its brackets and quotes, and then parsed alone.
fn read_array(
    mut input: impl BufRead,
    compared: &ComparedFields,
    sink: &mut impl RecordSink,
) -> Result<(), InputError> {
    let mut scanner = ArrayScanner::default();
    let mut item = Vec::new();
    let mut items: u64 = 0;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Err(InputError::Invalid(
                "The body must be a whole JSON array, but it ends inside of it".to_owned(),
            ));
        }
        let mut taken = 0;
        let mut step = Step::More;
        while taken < buffer.len() && step == Step::More {
            step = scanner.step(buffer[taken]);
            if step == Step::More && scanner.is_in_item && item.len() <= MAX_RECORD_BYTES {
                item.push(buffer[taken]);
            }
            taken += 1;
        }
        input.consume(taken);
        if step == Step::More {
            continue;
        }
        let is_blank = item.iter().all(u8::is_ascii_whitespace);
        match step {
            Step::WrongBracket => {
                return Err(InputError::Invalid(format!(
                    "The body must be a JSON array, but it has a wrong bracket after record {items}"
                )));
            }
            Step::EndOfArray if is_blank && items == 0 => {}
            _ if is_blank => {
                return Err(InputError::Invalid(format!(
                    "The body must be a JSON array, but there is no record at a comma after record {items}"
                )));
            }
            _ if item.len() > MAX_RECORD_BYTES => {
                sink.take(Err(format!("it has more than {MAX_RECORD_BYTES} bytes")))?;
            }
            _ => sink.take(from_json(&item, compared))?,
        }
        items += 1;
        item.clear();
        if step == Step::EndOfArray {
            break;
        }
    }
    match first_character(&mut input)? {
        None => Ok(()),
        Some(_) => Err(InputError::Invalid("The body must end after the JSON array, but it goes on".to_owned())),
    }
}

/// Finds the ends of the items of an array, byte by byte.
#[derive(Default)]
struct ArrayScanner {
    /// The number of open brackets, with that of the array.
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    /// Whether the last byte belongs to an item.
    is_in_item: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    More,
    EndOfItem,
    EndOfArray,
    /// The array is closed like an object.
    WrongBracket,
}

impl ArrayScanner {
    fn step(&mut self, byte: u8) -> Step {
        self.is_in_item = self.depth > 0;
        if self.is_in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_text = false,
                _ => {}
            }
            return Step::More;
        }
        match byte {
            b'"' => self.is_in_text = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                match (self.depth, byte) {
                    (0, b']') => return Step::EndOfArray,
                    (0, _) => return Step::WrongBracket,
                    _ => {}
                }
            }
            b',' if self.depth == 1 => return Step::EndOfItem,
            _ => {}
        }
        Step::More
    }
}

fn read_csv(input: impl BufRead, compared: &ComparedFields, sink: &mut impl RecordSink) -> Result<(), InputError> {
    let left = Rc::new(Cell::new(MAX_RECORD_BYTES));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(LimitedReader { input, left: left.clone() });
    let csv_error = |error: csv::Error, record: &str| match error.into_kind() {
        csv::ErrorKind::Io(_) if left.get() == 0 => InputError::Invalid(format!(
            "{record} must have at most {MAX_RECORD_BYTES} bytes, got more; a quote may be open"
        )),
        csv::ErrorKind::Io(error) => InputError::Io(error),
        other => InputError::Invalid(format!("The CSV cannot be read: {other:?}")),
    };
    let header = reader.byte_headers().map_err(|error| csv_error(error, "The header line"))?.clone();
    if header.is_empty() {
        return Ok(());
    }
    let header: Vec<Cow<'_, str>> = header.iter().map(String::from_utf8_lossy).collect();
    let column = |wanted: &str| header.iter().position(|name| name.trim() == wanted);
    // The field and the column of each value.
    let mut columns: Vec<(usize, usize)> = Vec::new();
    match &compared.sources {
        None => columns.extend(compared.names.iter().enumerate().filter_map(|(nth, name)| Some((nth, column(name)?)))),
        Some(sources) => {
            for (nth, name) in sources {
                let place = column(name.trim_start_matches('/')).or_else(|| column(name)).ok_or_else(|| {
                    let known = shown(&header.join(", "));
                    InputError::Invalid(format!(
                        "map must have columns of the header line ({known}), got {}",
                        shown(name)
                    ))
                })?;
                columns.push((*nth, place));
            }
        }
    }
    if columns.is_empty() {
        let (wanted, got) = (compared.names.join(", "), shown(&header.join(", ")));
        return Err(InputError::Invalid(format!("The header line must have columns of {wanted}, got {got}")));
    }
    let mut row = csv::ByteRecord::new();
    for number in 1_u64.. {
        left.set(MAX_RECORD_BYTES);
        if !reader.read_byte_record(&mut row).map_err(|error| csv_error(error, &format!("Record {number}")))? {
            break;
        }
        let record = if row.len() == header.len() {
            let mut values = Values::default();
            let mut is_utf8 = true;
            for &(nth, place) in &columns {
                match std::str::from_utf8(&row[place]) {
                    Ok(text) => values.0[nth] = Some(Cow::Borrowed(text)),
                    Err(_) => is_utf8 = false,
                }
            }
            if is_utf8 { Ok(Parsed::Row(values)) } else { Err("it is not UTF-8".to_owned()) }
        } else {
            Err(format!("it must have {} values as the header line, got {}", header.len(), row.len()))
        };
        sink.take(record)?;
    }
    Ok(())
}

/// Reads up to a number of bytes, which are set again before each record, so that no record takes more memory.
struct LimitedReader<R> {
    input: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("the record is too long"));
        }
        let wanted = into.len().min(left);
        let read = self.input.read(&mut into[..wanted])?;
        self.left.set(left - read);
        Ok(read)
    }
}
