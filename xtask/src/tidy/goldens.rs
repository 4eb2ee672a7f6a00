//! A golden is a promise to a reader; each says which one.
//!
//! Belongs here: finding goldens without a reason. Does not belong here: comparing them.

use super::Finding;
use super::tree::{Tree, has_extension};

/// Every recording, snapshot and test picture is named in the README.md of its folder.
pub(crate) fn have_a_reason(tree: &Tree) -> Vec<Finding> {
    tree.paths()
        .filter(|path| is_golden(path))
        .filter_map(|path| {
            let (folder, name) = path.rsplit_once('/')?;
            let readme = format!("{folder}/README.md");
            let is_named = tree
                .file(&readme)
                .is_some_and(|file| file.text.contains(name));
            (!is_named).then(|| {
                Finding::new(
                    path,
                    1,
                    "a golden without a reason",
                    format!("write in {readme} which reader breaks when it changes"),
                )
            })
        })
        .collect()
}

fn is_golden(path: &str) -> bool {
    if path.starts_with("recordings/") {
        return !path.ends_with("README.md");
    }
    let is_test = path.split('/').any(|part| part == "tests");
    has_extension(path, "snap")
        || (is_test && (has_extension(path, "reel") || has_extension(path, "png")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_without_a_note_is_found() {
        let tree = Tree::of(&[
            (
                "recordings/README.md",
                "`mm1.reel`: the reader in another language\n",
            ),
            ("recordings/mm1.reel", ""),
            ("recordings/lost.reel", ""),
            ("a/tests/it/lost.snap", ""),
            ("docs/pictures/01.png", ""),
        ]);
        let found: Vec<String> = have_a_reason(&tree)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(found, ["a/tests/it/lost.snap", "recordings/lost.reel"]);
    }
}
