//! What a file is before anybody reads its fields: compressed, too long, empty.
//!
//! Belongs here: gzip, the limit on lengths, marks at the beginning. Does not belong here: opening files (cli).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::ImportError;
use std::borrow::Cow;
use std::io::Read;

/// Longest file, and longest text that a compressed one may become, in bytes.
pub const INPUT_BYTES_MAX: u64 = 1 << 30;

/// A text longer than this must not be longer than [`RATIO_MAX`] times its compressed form: traces shrink
/// to a tenth or a thirtieth, bombs to a thousandth.
const UNPACKED_BYTES_FREE: u64 = 64 << 20;
const RATIO_MAX: u64 = 100;

const GZIP_MARK: &[u8] = &[0x1f, 0x8b];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// First bytes of what is no text of ours, and what that is.
const OTHER_MARKS: [(&[u8], &str); 8] = [
    (&[0xff, 0xfe], "UTF-16 text; convert it to UTF-8"),
    (&[0xfe, 0xff], "UTF-16 text; convert it to UTF-8"),
    (&[b'{', 0], "UTF-16 text; convert it to UTF-8"),
    (&[b'[', 0], "UTF-16 text; convert it to UTF-8"),
    (&[0, b'{'], "UTF-16 text; convert it to UTF-8"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (
        &[0x28, 0xb5, 0x2f, 0xfd],
        "compressed with zstd; unpack it first",
    ),
    (GZIP_MARK, "compressed twice; unpack it once"),
];

/// The text of a file, uncompressed, without a byte order mark.
///
/// # Errors
/// [`ImportError`] where it is empty, too long, or its compression is damaged.
pub(super) fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, ImportError> {
    let too_long = || ImportError::TooLong {
        file: file.to_owned(),
        limit: INPUT_BYTES_MAX,
    };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > INPUT_BYTES_MAX) {
        return Err(too_long());
    }
    let text = if bytes.starts_with(GZIP_MARK) {
        let mut text = Vec::new();
        let packed = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let allowed = packed.saturating_mul(RATIO_MAX).max(UNPACKED_BYTES_FREE);
        let limit = allowed.min(INPUT_BYTES_MAX);
        let mut decoder = flate2::read::MultiGzDecoder::new(bytes).take(limit.saturating_add(1));
        decoder
            .read_to_end(&mut text)
            .map_err(|source| ImportError::Gzip {
                file: file.to_owned(),
                source,
            })?;
        if u64::try_from(text.len()).is_ok_and(|length| length > limit) {
            return Err(if limit == INPUT_BYTES_MAX {
                too_long()
            } else {
                ImportError::Bomb {
                    file: file.to_owned(),
                    packed,
                    limit,
                }
            });
        }
        Cow::Owned(text)
    } else {
        Cow::Borrowed(bytes)
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(ImportError::Empty {
            file: file.to_owned(),
        });
    }
    if let Some((_, what)) = OTHER_MARKS.iter().find(|(mark, _)| text.starts_with(mark)) {
        return Err(ImportError::NotText {
            file: file.to_owned(),
            what,
        });
    }
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(UTF8_MARK).unwrap_or(text)),
        Cow::Owned(mut text) => {
            if text.starts_with(UTF8_MARK) {
                text.drain(..UTF8_MARK.len());
            }
            Cow::Owned(text)
        }
    })
}
