//! Arrows that take time.
//!
//! Belongs here: reading `[[edge]]`. Does not belong here: arrows that follow from rules (shape).

use super::distribution;
use super::fields::{self, Fields};
use super::names::Names;
use super::problem::Problems;
use super::raw::Node;
use super::valid::Transit;
use crate::model::id::ComponentId;

pub(super) fn read(node: &Node, names: &Names, problems: &mut Problems<'_>) -> Option<Transit> {
    let mut fields = Fields::new(node, "an [[edge]]", problems)?;
    let mut end = |key: &'static str, problems: &mut Problems<'_>| -> Option<ComponentId> {
        let node = fields.need(key, problems)?;
        let name = fields::text(node, key, problems)?;
        names.component(name, node.place, problems)
    };
    let from = end("from", problems);
    let to = end("to", problems);
    let time = fields
        .need("transit", problems)
        .and_then(|node| distribution::read(node, "`transit`", problems));
    fields.finish(problems);
    Some(Transit {
        from: from?,
        to: to?,
        time: time?,
    })
}
