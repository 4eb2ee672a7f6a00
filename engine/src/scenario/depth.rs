//! How deep a text nests, found before the parser sees it: parsers recurse, and stacks end.
//!
//! Belongs here: brackets and dots outside of strings. Does not belong here: TOML itself (raw).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

/// A ladder inside a choice inside a class is five levels deep.
pub(super) const BRACKETS_MAX: usize = 32;
/// Dots of one key; with brackets they multiply.
pub(super) const DOTS_MAX: usize = 8;

/// Byte offset at which the text nests deeper than any scenario does.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().peekable();
    let (mut brackets, mut dots) = (0_usize, 0_usize);
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'#' => while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {},
            b'"' | b'\'' => skip_string(byte, &mut bytes),
            b'[' | b'{' => {
                brackets = brackets.saturating_add(1);
                dots = 0;
            }
            b']' | b'}' => {
                brackets = brackets.saturating_sub(1);
                dots = 0;
            }
            b'.' => dots = dots.saturating_add(1),
            b'\n' | b',' | b'=' => dots = 0,
            _ => {}
        }
        if brackets > BRACKETS_MAX || dots > DOTS_MAX {
            return Some(offset);
        }
    }
    None
}

/// Goes past the end of a string whose first quote was taken; one without an end goes to the end of
/// its line, or of the text where three quotes began it.
fn skip_string(quote: u8, bytes: &mut std::iter::Peekable<impl Iterator<Item = (usize, u8)>>) {
    if bytes.next_if(|(_, byte)| *byte == quote).is_none() {
        while let Some((_, byte)) = bytes.next_if(|(_, byte)| *byte != b'\n') {
            if byte == quote {
                return;
            }
            if byte == b'\\' && quote == b'"' {
                bytes.next_if(|(_, byte)| *byte != b'\n');
            }
        }
        return;
    }
    if bytes.next_if(|(_, byte)| *byte == quote).is_none() {
        return;
    }
    let mut run = 0_usize;
    while let Some((_, byte)) = bytes.next() {
        run = if byte == quote {
            run.saturating_add(1)
        } else {
            0
        };
        if run >= 3 {
            // Up to two more quotes may belong to the text itself.
            while bytes.next_if(|(_, byte)| *byte == quote).is_some() {}
            return;
        }
        if byte == b'\\' && quote == b'"' {
            bytes.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_outside_of_strings_and_comments_only() {
        let fine = [
            format!("x = \"{}\"", "[".repeat(100)),
            format!("x = '{}'", "{".repeat(100)),
            format!("x = \"\"\"\n{}\\\"\"\"\"", "[".repeat(100)),
            format!("# {}\nx = 1", "[".repeat(100)),
            format!("x = \"\\\"{}\"", "[".repeat(100)),
            "x = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5]".to_owned(),
            "[a]\n".repeat(100),
        ];
        for text in fine {
            assert_eq!(too_deep(&text), None, "{text}");
        }
        assert_eq!(too_deep(&format!("x = {}", "[".repeat(100))), Some(36));
        assert_eq!(too_deep(&format!("x = \"\"{}", "[".repeat(100))), Some(38));
        assert_eq!(too_deep(&format!("a{} = 1", ".a".repeat(100))), Some(17));
    }
}
