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

const GZIP_MARK: &[u8] = &[0x1f, 0x8b];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

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
        let mut decoder =
            flate2::read::MultiGzDecoder::new(bytes).take(INPUT_BYTES_MAX.saturating_add(1));
        decoder
            .read_to_end(&mut text)
            .map_err(|source| ImportError::Gzip {
                file: file.to_owned(),
                source,
            })?;
        if u64::try_from(text.len()).is_ok_and(|length| length > INPUT_BYTES_MAX) {
            return Err(too_long());
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
