//! Events as comma-separated values (RFC 4180).
//!
//! Belongs here: columns and quoting. Does not belong here: which events (whoever asks).

use super::{ExportError, Exported};
use crate::model::event::Outcome;
use crate::model::id::RequestId;
use crate::recording::ReelReader;
use std::borrow::Cow;
use std::io::Write;

const HEAD: &str =
    "t_ns,seq,kind,request,class,part,attempt,component,peer,outcome,value,detail\r\n";

/// Writes every event; the record beside it is a JSON object in the last column.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the rows not be written.
pub fn write_csv(reader: &mut ReelReader, out: &mut impl Write) -> Result<Exported, ExportError> {
    let topology = reader.topology().clone();
    let mut exported = Exported::default();
    let mut events = Vec::new();
    out.write_all(HEAD.as_bytes())?;
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut events)?;
        for event in &events {
            let detail = reader.read_detail(event.detail)?;
            let detail = detail.map_or(Ok(String::new()), |it| serde_json::to_string(&it))?;
            let named = |id| topology.component(id).map_or("", |it| it.id.as_str());
            let (request, class) = if event.request == RequestId::NONE {
                (String::new(), "")
            } else {
                (
                    event.request.0.to_string(),
                    topology.class_name(event.class),
                )
            };
            let outcome = if event.outcome == Outcome::None {
                ""
            } else {
                event.outcome.name()
            };
            write!(
                out,
                "{},{},{},{request},{},{},{},{},{},{outcome},{},{}\r\n",
                event.t_ns.0,
                event.seq,
                event.kind.name(),
                quoted(class),
                event.part.0,
                event.attempt,
                quoted(named(event.component)),
                quoted(named(event.peer)),
                event.value,
                quoted(&detail)
            )?;
        }
        exported.events += events.len() as u64;
    }
    exported.items = exported.events;
    Ok(exported)
}

/// In quotes where a comma, a quote or the end of a line stands in it.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("mail"), "mail");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
    }
}
