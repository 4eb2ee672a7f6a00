//! What every request passes on a server before and after its controller: one layer per file.
//!
//! Belongs here: recording, panics, origins, reading bodies, who calls. Does not belong here: routes.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod gate;
pub(crate) mod headers;
mod json;
pub(crate) mod origin;
pub(crate) mod record;
