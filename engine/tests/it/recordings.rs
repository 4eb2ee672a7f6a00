//! The reels that ship: each is whole, seeks to what it folds to, and a simulated one proves itself.
//!
//! Belongs here: what must hold for every file in `recordings/`. Does not belong here: damage (reel).

use crate::cli::json;
use std::path::PathBuf;

fn shipped() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings");
    let mut reels: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is part of the tree")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "reel"))
        .collect();
    reels.sort();
    assert!(reels.len() >= 3, "one live, one simulated, one imported");
    reels
}

#[test]
fn every_shipped_reel_holds_and_is_complete() {
    for reel in shipped() {
        let path = reel.to_str().expect("names in ASCII");
        let (code, info, _) = json(&["info", path]);
        assert_eq!((code, &info["complete"]), (0, &true.into()), "{path}");
        assert_eq!(info["gaps"].as_array().map(Vec::len), Some(0), "{path}");
        let is_simulated = info["source"] == "simulation";
        let verify = ["verify", path, "--resimulate"];
        let (code, verified, _) = json(&verify[..if is_simulated { 3 } else { 2 }]);
        assert_eq!(
            (code, &verified["holds"]),
            (0, &true.into()),
            "{path}: {verified}"
        );
    }
}

#[test]
fn every_shipped_reel_seeks_to_what_it_folds_to() {
    for reel in shipped() {
        let path = reel.to_str().expect("names in ASCII");
        for at in ["0s", "1s", "7.5s", "19s", "1m", "1h"] {
            let state = |via: &str| json(&["state", path, "--at", at, "--via", via]).1;
            assert_eq!(state("seek"), state("fold"), "{path} at {at}");
        }
    }
}
