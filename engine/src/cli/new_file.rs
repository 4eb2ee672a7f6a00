//! Files that verbs write: under their own name once they are whole, and not before.
//!
//! Belongs here: the file beside the name. Does not belong here: what is written into it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Unfinished files beside one name before a new one is refused.
const PARTS_MAX: u32 = 100;

/// A file that ends in `.part` until [`Self::keep`] gives it its name; dropped before, it is removed, and
/// whatever had the name stays as it was.
///
/// Pipes and devices are written to directly: they cannot be exchanged for a file.
#[derive(Debug)]
#[must_use = "dropped, the file is removed"]
pub(super) struct NewFile {
    part: Option<PathBuf>,
    out: PathBuf,
}

impl NewFile {
    /// Creates the file that is going to be `out`.
    ///
    /// # Errors
    /// Where the system refuses, or `out` is a folder.
    pub(super) fn create(out: &Path) -> io::Result<(File, Self)> {
        // Through links, so that the file behind one is replaced and not the link.
        let out = match fs::canonicalize(out) {
            Ok(held) => held,
            Err(error) if error.kind() == io::ErrorKind::NotFound => out.to_owned(),
            Err(error) => return Err(error),
        };
        if fs::metadata(&out).is_ok_and(|held| !held.is_file()) {
            let file = fs::OpenOptions::new().write(true).open(&out)?;
            return Ok((file, Self { part: None, out }));
        }
        // Another command may be at the same name, or the input itself be called so: nothing is overwritten.
        for number in 1..=PARTS_MAX {
            let part = part_of(&out, number);
            match File::create_new(&part) {
                Ok(file) => {
                    let part = Some(part);
                    return Ok((file, Self { part, out }));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        let text = format!("{PARTS_MAX} unfinished files stand beside it; delete them");
        Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
    }

    /// The file is whole.
    ///
    /// # Errors
    /// Where the system refuses to name it; it is removed then.
    pub(super) fn keep(mut self) -> io::Result<()> {
        if let Some(part) = &self.part {
            fs::rename(part, &self.out)?;
        }
        self.part = None;
        Ok(())
    }
}

/// `a.reel.part`, `a.reel.2.part`, …
fn part_of(out: &Path, number: u32) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(match number {
        1 => ".part".to_owned(),
        _ => format!(".{number}.part"),
    });
    PathBuf::from(name)
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            drop(fs::remove_file(part));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = std::env::temp_dir().join(format!("flowreel-new-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let out = folder.join("a.reel");
        fs::write(&out, "before").unwrap();
        let (mut file, pending) = NewFile::create(&out).unwrap();
        file.write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(fs::read_to_string(&out).unwrap(), "before");
        let (mut file, pending) = NewFile::create(&out).unwrap();
        file.write_all(b"whole").unwrap();
        pending.keep().unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "whole");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(NewFile::create(&folder).is_err());
        // What somebody else left under the unfinished name is theirs.
        let other = folder.join("a.reel.part");
        fs::write(&other, "theirs").unwrap();
        let (mut file, pending) = NewFile::create(&out).unwrap();
        file.write_all(b"again").unwrap();
        pending.keep().unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "again");
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        fs::remove_dir_all(&folder).unwrap();
    }
}
