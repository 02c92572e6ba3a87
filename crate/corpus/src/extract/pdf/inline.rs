//! Pictures within a content stream: their bytes may look like anything, so they are taken out before it is read.

/// Arrays and dictionaries within one another; a stream that goes deeper is cut there.
const MAX_DEPTH: usize = 64;
/// As many bytes after a picture must look like text for it to end there.
const N_LOOK_AHEAD: usize = 12;

/// Blanks out inline pictures in time that grows with the length alone. Returns whether there were any.
pub(super) fn blank(data: &mut Vec<u8>) -> bool {
    let mut at = 0;
    let mut depth = 0;
    let mut had_pictures = false;
    while at < data.len() {
        match data[at] {
            b'(' => at = end_of_string(data, at),
            b'%' => at += data[at..].iter().take_while(|&&byte| !matches!(byte, b'\r' | b'\n')).count(),
            b'[' | b'<' => {
                depth += 1;
                at += 1;
            }
            b']' | b'>' => {
                depth = usize::saturating_sub(depth, 1);
                at += 1;
            }
            byte if is_regular(byte) => {
                let end = at + data[at..].iter().take_while(|&&byte| is_regular(byte)).count();
                if &data[at..end] == b"BI" {
                    had_pictures = true;
                    let end = end_of_picture(data, end);
                    data[at..end].fill(b' ');
                    at = end;
                } else {
                    at = end;
                }
            }
            _ => at += 1,
        }
        if depth > MAX_DEPTH {
            data.truncate(at);
        }
    }
    had_pictures
}

fn is_regular(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != 0 && !b"()<>[]{}/%".contains(&byte)
}

fn end_of_string(data: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < data.len() {
        match data[at] {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' if depth == 1 => return at + 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    data.len()
}

/// Behind the `EI` that white space surrounds and text follows; the end of the data where there is none.
fn end_of_picture(data: &[u8], start: usize) -> usize {
    let is_end = |at: usize| {
        let after = &data[at + 2..data.len().min(at + 2 + N_LOOK_AHEAD)];
        data[at - 1].is_ascii_whitespace()
            && after.first().is_none_or(u8::is_ascii_whitespace)
            && after.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_graphic())
    };
    (start.max(1)..data.len().saturating_sub(1))
        .find(|&at| data[at..].starts_with(b"EI") && is_end(at))
        .map_or(data.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(data: &[u8]) -> String {
        let mut data = data.to_vec();
        blank(&mut data);
        String::from_utf8(data).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pictures_go_and_strings_that_look_like_them_stay() {
        assert_eq!(blanked(b"q BI /W 1 ID \xFF EI\x01 ( EI Q (a) Tj"), "q Q (a) Tj");
        assert_eq!(blanked(b"(BI \\) () ID) Tj % BI\n(b) Tj"), "(BI \\) () ID) Tj % BI (b) Tj");
        assert_eq!(blanked(b"(a) Tj BI /W 1 ID never ends"), "(a) Tj");
        assert_eq!(blanked(&[&b"(a) Tj "[..], &b"[".repeat(90)].concat()).len(), 7 + MAX_DEPTH + 1);
    }
}
