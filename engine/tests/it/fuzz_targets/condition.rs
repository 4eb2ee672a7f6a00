//! Conditions of `--where`: a wrong one is told with its place, a right one judges any request.
//!
//! Belongs here: promises of the language over any text. Does not belong here: what a condition means.

use flowreel_engine::condition::{Condition, Name, Shape, Value};

/// Takes a condition.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Condition>() {
        Err(error) => {
            assert!(
                !error.what.is_empty() && !error.what.contains('\n'),
                "{error}"
            );
            assert!(
                (1..=text.chars().count() + 1).contains(&error.column),
                "{error}"
            );
            let (shown, caret) = error.excerpt.split_once('\n').expect("two lines");
            assert!(
                !caret.contains('\n') && caret.trim_start() == "^",
                "{error}"
            );
            // The caret stands under what is shown, or right behind its end.
            assert!(
                caret.chars().count() <= shown.chars().count() + 1,
                "{error}"
            );
        }
        Ok(condition) => {
            let known = |name: Name| {
                let shape = Name::ALL.iter().find(|(_, known, _)| *known == name);
                match shape.map(|(_, _, shape)| *shape) {
                    Some(Shape::Number | Shape::Seconds) => Value::Number(1.0),
                    Some(Shape::Text) => Value::Text("a*b"),
                    Some(Shape::Texts) => Value::Texts(vec!["a", "", "b"]),
                    None => Value::Unknown,
                }
            };
            let holds = condition.holds(&known);
            // It may nest too deep only now, and nothing else may be wrong with it.
            let wrapped = |text: String| match text.parse::<Condition>() {
                Ok(condition) => Some(condition),
                Err(error) => {
                    assert!(error.what.contains("nested more than"), "{error}");
                    None
                }
            };
            // Parentheses change nothing and a word before them turns it round.
            if let Some(again) = wrapped(format!("({text})")) {
                assert_eq!(again, condition);
            }
            if let Some(not) = wrapped(format!("not ({text})")) {
                assert_ne!(holds, not.holds(&known));
            }
            // Of what is unknown nothing that is claimed holds, however the claims are joined.
            if let Some(none) = wrapped(format!("({text}) and outcome == \"ok\"")) {
                assert!(!none.holds(&|_| Value::Unknown));
            }
        }
    }
}
