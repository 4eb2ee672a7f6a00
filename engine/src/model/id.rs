//! Typed positions: which request, component, class, path or text an event speaks of.
//!
//! Belongs here: newtypes over integers. Does not belong here: names (topology), lookups.

use serde::{Deserialize, Serialize};

/// One user action with all its parts; unique in a run, handed out from 1 upwards.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId(pub u64);

impl RequestId {
    /// Events about no request in particular (worker idle, health changed, metric sampled).
    pub const NONE: Self = Self(0);
}

/// Position of a component in [`crate::model::topology::Topology::components`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComponentId(pub u16);

impl ComponentId {
    /// No component: an event without a peer.
    pub const NONE: Self = Self(u16::MAX);

    /// Position in the topology's list.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// True for every id but [`Self::NONE`].
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != u16::MAX
    }
}

impl Default for ComponentId {
    fn default() -> Self {
        Self::NONE
    }
}

/// Position of a request class in [`crate::model::topology::Topology::classes`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClassId(pub u16);

impl ClassId {
    /// Position in the topology's list.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which part of a request: 0 is the main line, copies and forks count from 1 within their request.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PartId(pub u16);

/// Position of a delivery path (e-mail, in-app) in [`crate::model::topology::Topology::paths`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PathId(pub u16);

impl PathId {
    /// Position in the topology's list.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A detail record beside an event: its position in the reel counted from 1; 0 means none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DetailId(pub u32);

impl DetailId {
    /// The event carries no detail record.
    pub const NONE: Self = Self(0);
}
