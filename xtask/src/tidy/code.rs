//! Rust text with comments and literals blanked out, so that rules see code only.
//!
//! Belongs here: the few tokens of Rust that hide other text. Does not belong here: paths, rules.

/// The text, byte for byte as long, lines kept, with comments and the inside of literals as spaces.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut blanked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let length = hidden_length(&chars, at);
        if length == 0 {
            blanked.push(c);
            at += 1;
            continue;
        }
        for &hidden in chars.iter().skip(at).take(length) {
            blanked.push(if hidden == '\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    blanked
}

/// How many characters from `at` on are one comment or literal; 0 where code stands.
fn hidden_length(chars: &[char], at: usize) -> usize {
    let rest = chars.get(at..).unwrap_or_default();
    let follows_word = at > 0
        && chars
            .get(at - 1)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => 1 + string_length(rest.get(1..).unwrap_or_default()),
        ['b', '"', ..] if !follows_word => 2 + string_length(rest.get(2..).unwrap_or_default()),
        ['r', '"' | '#', ..] if !follows_word => raw_string_length(rest, 1),
        ['b', 'r', '"' | '#', ..] if !follows_word => raw_string_length(rest, 2),
        ['\'', '\\', ..] => {
            let close = rest.iter().skip(3).position(|c| *c == '\'');
            close.map_or(rest.len(), |position| position + 4)
        }
        // Not a lifetime: those have no second quote after one character.
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < rest.len() {
        match rest.get(at..).unwrap_or_default() {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a string after its opening quote, the closing one included.
fn string_length(rest: &[char]) -> usize {
    let mut escaped = false;
    for (index, c) in rest.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[char], prefix: usize) -> usize {
    let hashes = rest.iter().skip(prefix).take_while(|c| **c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return 0; // r#raw_identifier
    }
    let begin = prefix + hashes + 1;
    let body = rest.get(begin..).unwrap_or_default();
    let mut closing = vec!['"'];
    closing.resize(hashes + 1, '#');
    body.windows(closing.len())
        .position(|window| window == closing)
        .map_or(rest.len(), |position| begin + position + closing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(without_comments_and_literals(text), expected);
    }

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x\"y", b"z");"#, r"f(      ,     );");
        check("r#\"a\"b\"# c", "         c");
        check("let c = '\\''; let d = 'x';", "let c =     ; let d =    ;");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_stay() {
        check(
            "fn f<'a>(x: &'a str) { r#type }",
            "fn f<'a>(x: &'a str) { r#type }",
        );
    }

    #[test]
    fn open_ends_reach_to_the_end_of_the_text() {
        check("a \"b", "a   ");
        check("a /* b", "a     ");
    }
}
