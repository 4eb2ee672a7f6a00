//! Which paths a Rust file names: `use` trees unfolded, paths inside the code, `super` resolved.
//!
//! Belongs here: reading paths. Does not belong here: which of them are allowed (edges).

/// A path and the line it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    PathSeparator,
    Sign(char),
}

/// Every path in the code (comments and literals already blanked), `module` being the file's own,
/// for instance `crate::kernel::station`.
pub(crate) fn named_in(code: &str, module: &str) -> Vec<NamedPath> {
    let tokens = tokens_of(code);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((line, token)) = tokens.get(at) {
        match token {
            Token::Word(word) if word == "use" => {
                at = read_use_tree(&tokens, at + 1, "", &mut found);
            }
            Token::Word(_) => {
                let (path, next) = read_path(&tokens, at);
                if path.contains("::") {
                    found.push(NamedPath { line: *line, path });
                }
                at = next;
            }
            Token::PathSeparator | Token::Sign(_) => at += 1,
        }
    }
    for named in &mut found {
        named.path = absolute(&named.path, module);
    }
    found
}

fn tokens_of(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let token = if c.is_alphanumeric() || c == '_' {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                Token::Word(word)
            } else if c == ':' && chars.next_if_eq(&':').is_some() {
                Token::PathSeparator
            } else if c.is_whitespace() {
                continue;
            } else {
                Token::Sign(c)
            };
            tokens.push((index + 1, token));
        }
    }
    tokens
}

/// Reads `a::b::c` from `at` on; returns it and the position after it.
fn read_path(tokens: &[(usize, Token)], at: usize) -> (String, usize) {
    let mut path = String::new();
    let mut next = at;
    while let Some((_, Token::Word(word))) = tokens.get(next) {
        path.push_str(word);
        next += 1;
        let goes_on = matches!(tokens.get(next), Some((_, Token::PathSeparator)))
            && matches!(tokens.get(next + 1), Some((_, Token::Word(_))));
        if !goes_on {
            break;
        }
        path.push_str("::");
        next += 1;
    }
    (path, next.max(at + 1))
}

/// Unfolds one `use` tree; returns the position after it.
fn read_use_tree(
    tokens: &[(usize, Token)],
    at: usize,
    prefix: &str,
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut at = at;
    if matches!(tokens.get(at), Some((_, Token::PathSeparator))) {
        at += 1;
    }
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    let mut path = prefix.to_owned();
    if matches!(tokens.get(at), Some((_, Token::Word(_)))) {
        let (own, next) = read_path(tokens, at);
        path = if prefix.is_empty() {
            own
        } else {
            format!("{prefix}::{own}")
        };
        at = next;
        if matches!(tokens.get(at), Some((_, Token::PathSeparator))) {
            at += 1;
        }
    }
    if matches!(tokens.get(at), Some((_, Token::Sign('{')))) {
        at += 1;
        while let Some((_, token)) = tokens.get(at) {
            match token {
                Token::Sign('}') => return at + 1,
                Token::Sign(',') => at += 1,
                Token::Word(_) | Token::PathSeparator | Token::Sign(_) => {
                    at = read_use_tree(tokens, at, &path, found);
                }
            }
        }
        return at;
    }
    if !path.is_empty() {
        found.push(NamedPath { line, path });
    }
    // What is left of this leaf: `*`, `as name`.
    while let Some((_, token)) = tokens.get(at) {
        if matches!(token, Token::Sign('}' | ',' | ';')) {
            break;
        }
        at += 1;
    }
    at
}

/// `super` and `self` as seen from `module`; other paths as they are.
fn absolute(path: &str, module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts = path.split("::").peekable();
    let is_relative = matches!(parts.peek(), Some(&("super" | "self")));
    if !is_relative {
        return path.to_owned();
    }
    while let Some(part) = parts.next_if(|part| matches!(*part, "super" | "self")) {
        if part == "super" && base.len() > 1 {
            base.pop();
        }
    }
    base.extend(parts);
    base.join("::")
}

/// The module that a file of a package is: `engine/src/kernel/station.rs` is `crate::kernel::station`.
pub(crate) fn module_of(path: &str) -> String {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let name = inside.strip_suffix(".rs").unwrap_or(inside);
    if matches!(name, "lib" | "main") {
        return "crate".to_owned();
    }
    format!("crate::{}", name.replace('/', "::"))
}

/// True where `path` is `prefix` or lies inside it.
pub(crate) fn is_inside(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, module: &str, expected: &[&str]) {
        let found: Vec<String> = named_in(code, module)
            .into_iter()
            .map(|named| named.path)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn use_trees_are_unfolded() {
        check(
            "use std::{fs, io::{self, Read as R}};",
            "crate",
            &["std::fs", "std::io::self", "std::io::Read"],
        );
        check("use tokio;\nuse a::*;", "crate", &["tokio", "a"]);
        check("use {a::b, c};", "crate", &["a::b", "c"]);
    }

    #[test]
    fn super_is_resolved_from_the_files_own_module() {
        check(
            "use super::calendar::Calendar;",
            "crate::kernel::station",
            &["crate::kernel::calendar::Calendar"],
        );
        check(
            "super::super::recording::open()",
            "crate::kernel::station",
            &["crate::recording::open"],
        );
    }

    #[test]
    fn paths_inside_code_are_found_with_their_line() {
        let found = named_in("fn f() {\n    std::fs::read(x)\n}", "crate");
        assert_eq!(
            found,
            [NamedPath {
                line: 2,
                path: "std::fs::read".to_owned()
            }]
        );
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another() {
        assert!(is_inside("std::fs::read", "std::fs"));
        assert!(!is_inside("std::fsx", "std::fs"));
    }

    #[test]
    fn open_ends_do_not_hang() {
        check("use a::{b, c::{", "crate", &["a::b"]);
        check("use", "crate", &[]);
    }
}
