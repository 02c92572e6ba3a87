//! Tables of separated values → text: every row a paragraph that names its columns.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{Extracted, limits::MAX_TEXT_BYTES};

mod header;
mod quotes;

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// How much of the file the delimiter is told from, in bytes and in rows.
const SNIFF_BYTES: usize = 64 << 10;
const SNIFF_ROWS: usize = 200;

type Row = Vec<String>;

/// Reads a table; warnings say where rows have more or fewer cells than the first one.
pub(super) fn extract(source: &str, warnings: &mut Vec<String>) -> Extracted {
    let (declared, body) = split_declaration(source.trim_start_matches('\u{FEFF}'));
    let delimiter = declared.unwrap_or_else(|| sniff(body));
    let mended = quotes::mend(body, delimiter);
    match &mended {
        Some(mended) if mended.n_open == 0 => {}
        Some(mended) => {
            warnings.push(match mended.n_open {
                1 => "A quotation mark in the table is never closed; it was read as text.".to_owned(),
                n => format!("{n} quotation marks in the table are never closed; they were read as text."),
            });
        }
        None => {
            warnings.push("Quotation marks in the table are never closed; all of them were read as text.".to_owned());
        }
    }
    let is_quoted = mended.is_some();
    let body = mended.as_ref().map_or(body, |mended| mended.source.as_ref());
    let mut rows = Rows::new(body, delimiter, is_quoted);
    let sample: Vec<Row> = Rows::new(body, delimiter, is_quoted).take(header::SAMPLE_ROWS).collect();
    let header = header::find(&sample);
    let mut text = String::new();
    for title in rows.by_ref().take(header.unwrap_or(0)) {
        write_row(&title, None, &mut text);
    }
    let names: Option<Row> =
        header.and_then(|_| rows.next()).map(|names| names.iter().map(|name| name.replace('\n', " ")).collect());
    let n_columns = sample.get(header.unwrap_or(0)).map_or(0, Vec::len);
    let mut n_ragged = 0;
    for row in rows {
        n_ragged += usize::from(row.len() != n_columns);
        write_row(&row, names.as_deref(), &mut text);
        if text.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    if n_ragged > 0 {
        warnings.push(format!("{n_ragged} rows have more or fewer than the {n_columns} cells of the first row."));
    }
    Extracted { text, sections: Vec::new(), title: None }
}

/// `Name: value` lines, or the cells side by side where the columns have no names.
fn write_row(row: &[String], names: Option<&[String]>, text: &mut String) {
    let cells = row.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    for (n_written, (i, cell)) in cells.enumerate() {
        let separator = match (n_written, names) {
            (0, _) if text.is_empty() => "",
            (0, _) => "\n\n",
            (_, Some(_)) => "\n",
            (_, None) => " | ",
        };
        text.push_str(separator);
        if let Some(name) = names.and_then(|names| names.get(i)).filter(|name| !name.is_empty()) {
            text.push_str(name);
            text.push_str(": ");
        }
        text.push_str(cell);
    }
}

/// Excel's own first line, `sep=;`.
fn split_declaration(source: &str) -> (Option<u8>, &str) {
    let (line, rest) = source.split_once('\n').unwrap_or((source, ""));
    match line.trim_end().strip_prefix("sep=").map(str::as_bytes) {
        Some(&[delimiter]) => (Some(delimiter), rest),
        _ => (None, source),
    }
}

/// The delimiter that gives the most rows the same number of cells, above one.
fn sniff(source: &str) -> u8 {
    let head = &source[..source.floor_char_boundary(SNIFF_BYTES)];
    let score = |&delimiter: &u8| {
        let mut rows: Vec<usize> = Rows::new(head, delimiter, true).take(SNIFF_ROWS).map(|row| row.len()).collect();
        if rows.len() > 2 && head.len() < source.len() {
            // The last row was cut.
            rows.pop();
        }
        rows.sort_unstable();
        let usual = rows.get(rows.len() / 2).copied().unwrap_or(0);
        let n_alike = rows.iter().filter(|&&n| n == usual).count();
        if usual < 2 { (0, 0) } else { (n_alike * 100 / rows.len(), usual) }
    };
    // Of equals, the first.
    DELIMITERS.into_iter().rev().max_by_key(score).unwrap_or(b',')
}

/// Rows with a cell or more that is not empty; white space around cells is dropped.
struct Rows<'a> {
    rest: &'a [u8],
    reader: Reader,
    is_done: bool,
}

impl<'a> Rows<'a> {
    fn new(source: &'a str, delimiter: u8, is_quoted: bool) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).quoting(is_quoted).build();
        Self { rest: source.as_bytes(), reader, is_done: false }
    }

    /// The next record, with its empty cells.
    fn record(&mut self) -> Option<Row> {
        let (mut cells, mut ends) = (vec![0; 256], vec![0; 16]);
        let (mut n_bytes, mut n_ends) = (0, 0);
        loop {
            let (result, n_in, n_out, n_new) =
                self.reader.read_record(self.rest, &mut cells[n_bytes..], &mut ends[n_ends..]);
            self.rest = &self.rest[n_in..];
            n_bytes += n_out;
            n_ends += n_new;
            match result {
                // An empty rest tells the reader that the input is over.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => cells.resize(cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
            }
        }
        let mut start = 0;
        let row = ends[..n_ends].iter().map(|&end| {
            let cell = String::from_utf8_lossy(&cells[start..end]);
            start = end;
            tidy(&cell)
        });
        Some(row.collect())
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        while !self.is_done {
            match self.record() {
                Some(row) if row.iter().any(|cell| !cell.is_empty()) => return Some(row),
                Some(_) => {}
                None => self.is_done = true,
            }
        }
        None
    }
}

/// A cell without white space at its ends and without blank lines, which would part its row.
fn tidy(cell: &str) -> String {
    if !cell.contains('\n') {
        return cell.trim().to_owned();
    }
    cell.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> (String, usize) {
        let mut warnings = Vec::new();
        let extracted = extract(source, &mut warnings);
        (extracted.text, warnings.len())
    }

    #[test]
    fn every_row_names_its_columns() {
        let source = "port,fee,note\nNorth,14,\"first\n\nsecond, \"\"third\"\"\"\n\nSouth,,x\n";
        assert_eq!(
            read(source),
            ("port: North\nfee: 14\nnote: first\nsecond, \"third\"\n\nport: South\nnote: x".to_owned(), 0)
        );
    }

    #[test]
    fn the_delimiter_is_told_from_the_rows() {
        for delimiter in [",", ";", "\t", "|"] {
            let source = ["name,fee", "North quay,14", "South quay,9"].join("\n").replace(',', delimiter);
            assert_eq!(read(&source).0, "name: North quay\nfee: 14\n\nname: South quay\nfee: 9");
        }
        assert_eq!(
            read("name;price\nred, green;1,50\nblue;2,50").0,
            "name: red, green\nprice: 1,50\n\nname: blue\nprice: 2,50"
        );
        assert_eq!(read("sep=|\na|b\n1|2").0, "a: 1\nb: 2");
    }

    #[test]
    fn a_table_without_names_keeps_all_its_rows() {
        assert_eq!(read("1,2\n3,4").0, "1 | 2\n\n3 | 4");
        assert_eq!(read("only,names").0, "only | names");
        assert_eq!(read("x,x\ny,z").0, "x | x\n\ny | z");
    }

    #[test]
    fn a_header_may_hold_years_questions_and_names_twice() {
        let starts = |source: &str, expected: &str| {
            let text = read(source).0;
            assert!(text.starts_with(expected), "{source}: {text}");
        };
        starts(
            "Country,2019,2020,2021\nNorway,12,13,..\nPeru,9,2000,7",
            "Country: Norway\n2019: 12\n2020: 13\n2021: ..",
        );
        starts("Place,1/22/20,1/23/20\nBergen,0,4\n", "Place: Bergen\n1/22/20: 0");
        starts("Ship,1,2,3\nAlma,9,7,7\n", "Ship: Alma\n1: 9");
        starts(
            "Timestamp,What is your name?,How old are you?\n2020-01-02,Ann,9\n",
            "Timestamp: 2020-01-02\nWhat is your name?: Ann\nHow old are you?: 9",
        );
        starts("year,total,total\n2019,4,5\n2020,6,7\n", "year: 2019\ntotal: 4\ntotal: 5");
        let long = "x".repeat(100);
        starts(&format!("name,{long}\nAnn,9\n"), &format!("name: Ann\n{long}: 9"));
        starts("port,\"fee\n(EUR)\",No.\nNorth,14,1\n", "port: North\nfee (EUR): 14\nNo.: 1");
        assert_eq!(
            read("Report of 2020,,\n\nport,fee,note\nNorth,14,x\n"),
            ("Report of 2020\n\nport: North\nfee: 14\nnote: x".to_owned(), 0)
        );
    }

    #[test]
    fn rows_that_are_like_those_below_are_no_header() {
        for source in [
            "Oslo,12,14\nBergen,9,11",
            "Alice,1984,1990\nBob,1990,1991",
            "Alma,2019-01-02,2020-02-03\nVega,2019-03-04,2020-05-06",
            "How do I pay?,By card\nWhen is it open?,At nine",
            "yes,no,no\nno,yes,no",
            "Good.,x\nBad.,y",
            "It was a sentence.,x\nOne without,y",
            "Oslo,\nParis,France\nRome,Italy",
        ] {
            let first = source.lines().next().unwrap().trim_end_matches(',').replace(',', " | ");
            assert!(read(source).0.starts_with(&format!("{first}\n\n")), "{source}: {}", read(source).0);
        }
    }

    #[test]
    fn odd_rows_and_open_quotes_are_read_and_said() {
        assert_eq!(read("a,b\n1,2,3\n4"), ("a: 1\nb: 2\n3\n\na: 4".to_owned(), 1));
        let source = format!("a,b\n\"open,1\n{}", "x,y\n".repeat(600));
        let (text, n_warnings) = read(&source);
        assert!(text.starts_with("a: \"open\nb: 1\n\na: x\nb: y") && n_warnings == 1, "{}", &text[..40]);
    }

    #[test]
    fn rows_behind_an_open_quote_stay_rows() {
        let rows = "x,y\n".repeat(30);
        let n_rows = |source: &str| read(source).0.matches("a: x\nb: y").count();
        for source in [
            format!("a,b\n\"open,1\n{rows}"),
            format!("a,b\n1,\"open\n{rows}"),
            format!("a,b\n1,\"open\n{rows}\"q, r\",s\n"),
            format!("a,b\n1,2\n\"open,1\n{rows}3,5\"\n"),
        ] {
            let (text, n_warnings) = read(&source);
            assert!(n_rows(&source) == 30 && n_warnings == 1, "{source}: {text}");
            assert!(text.contains("\"open") && (!source.contains("q, r") || text.ends_with("a: q, r\nb: s")), "{text}");
        }
        let many = "\"open,z\n".repeat(100);
        assert!(n_rows(&format!("a,b\n{many}{rows}")) == 30 && read(&format!("a,b\n{many}{rows}")).1 == 1);
    }

    #[test]
    fn cells_over_many_lines_stay_cells() {
        let lines = "word, \"\"word\"\" and word\n".repeat(300);
        for source in [
            format!("a,b,c\n1,\"{lines}\",3\n"),
            "a,b\n1,\"cut".to_owned(),
            "a,b\r\n1,\"x\r\ny\"\r\n".to_owned(),
            "a,b\n\"\",\"x\ny\"\n".to_owned(),
        ] {
            let (text, n_warnings) = read(&source);
            assert_eq!((text.matches("b: ").count(), text.contains("\n\n"), n_warnings), (1, false, 0), "{source}");
        }
    }
}
