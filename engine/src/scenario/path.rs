//! Delivery paths: parts that visit a station belong to its path.
//!
//! Belongs here: reading `[[path]]`. Does not belong here: figures of a path (analysis).

use super::class::channel;
use super::component::id_is_valid;
use super::fields::{self, Fields};
use super::names::Names;
use super::problem::Problems;
use super::raw::Node;
use crate::model::topology::Path;

pub(super) fn read(node: &Node, names: &Names, problems: &mut Problems<'_>) -> Option<Path> {
    let mut fields = Fields::new(node, "a [[path]]", problems)?;
    let id = fields.need_text("id", problems);
    let channel = channel(&mut fields, problems);
    let via = fields.need("via", problems).and_then(|node| {
        let name = fields::text(node, "via", problems)?;
        names.station(name, node.place, problems)
    });
    fields.finish(problems);
    let id = id?;
    id_is_valid(id, node.place, problems).then_some(())?;
    Some(Path {
        id: id.to_owned(),
        channel: channel?,
        via: via?,
    })
}
