//! Names of components and classes while a scenario is read.
//!
//! Belongs here: looking names up, with a problem where there is none. Does not belong here: rules.

use super::problem::{Place, Problems, nearest_hint};
use crate::model::id::{ClassId, ComponentId};
use crate::model::topology::ComponentKind;

/// One component's name and what the reader needs to know of it before it is read.
pub(super) struct Named {
    pub(super) id: String,
    pub(super) kind: ComponentKind,
}

/// Everything that has a name.
pub(super) struct Names {
    /// Sources first, then stations.
    pub(super) components: Vec<Named>,
    pub(super) source_count: usize,
    pub(super) classes: Vec<String>,
    /// Any source tells users apart.
    pub(super) has_users: bool,
}

impl Names {
    /// The component of that name, station or source.
    pub(super) fn component(
        &self,
        name: &str,
        place: Place,
        problems: &mut Problems<'_>,
    ) -> Option<ComponentId> {
        let index = self.components.iter().position(|known| known.id == name);
        if index.is_none() {
            let names: Vec<&str> = self
                .components
                .iter()
                .map(|known| known.id.as_str())
                .collect();
            problems.add_with_hint(
                place,
                format!("no station is named `{name}`"),
                nearest_hint(name, &names),
            );
        }
        index
            .and_then(|index| u16::try_from(index).ok())
            .map(ComponentId)
    }

    /// The station of that name; a source is no place to go to.
    pub(super) fn station(
        &self,
        name: &str,
        place: Place,
        problems: &mut Problems<'_>,
    ) -> Option<ComponentId> {
        let id = self.component(name, place, problems)?;
        if id.index() < self.source_count {
            problems.add_with_hint(
                place,
                format!("`{name}` is a source, and requests do not go there"),
                "name a station",
            );
            return None;
        }
        Some(id)
    }

    pub(super) fn kind(&self, id: ComponentId) -> Option<ComponentKind> {
        self.components.get(id.index()).map(|known| known.kind)
    }

    pub(super) fn class(
        &self,
        name: &str,
        place: Place,
        problems: &mut Problems<'_>,
    ) -> Option<ClassId> {
        let index = self.classes.iter().position(|known| known == name);
        if index.is_none() {
            let names: Vec<&str> = self.classes.iter().map(String::as_str).collect();
            problems.add_with_hint(
                place,
                format!("no class is named `{name}`"),
                nearest_hint(name, &names),
            );
        }
        index
            .and_then(|index| u16::try_from(index).ok())
            .map(ClassId)
    }
}
