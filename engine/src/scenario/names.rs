//! Names of components and classes while a scenario is read.
//!
//! Belongs here: looking names up, with a problem where there is none. Does not belong here: rules.

use super::problem::{Place, Problems, nearest_hint};
use crate::model::id::{ClassId, ComponentId};
use crate::model::topology::ComponentKind;
use std::collections::BTreeMap;

/// One component's name and what the reader needs to know of it before it is read.
pub(super) struct Named {
    pub(super) id: String,
    pub(super) kind: ComponentKind,
}

/// Everything that has a name.
pub(super) struct Names {
    /// Sources first, then stations.
    pub(super) components: Vec<Named>,
    by_id: BTreeMap<String, u16>,
    pub(super) source_count: usize,
    pub(super) classes: Vec<String>,
    class_by_id: BTreeMap<String, u16>,
    /// Any source tells users apart.
    pub(super) has_users: bool,
}

impl Names {
    /// Ids are told apart already.
    pub(super) fn new(
        components: Vec<Named>,
        source_count: usize,
        classes: Vec<String>,
        has_users: bool,
    ) -> Self {
        Self {
            by_id: numbered(components.iter().map(|named| &named.id)),
            components,
            source_count,
            class_by_id: numbered(classes.iter()),
            classes,
            has_users,
        }
    }

    /// The component of that name, station or source.
    pub(super) fn component(
        &self,
        name: &str,
        place: Place,
        problems: &mut Problems<'_>,
    ) -> Option<ComponentId> {
        let index = self.by_id.get(name).copied();
        if index.is_none() {
            let components = if problems.is_full() {
                &[]
            } else {
                self.components.as_slice()
            };
            let names: Vec<&str> = components.iter().map(|known| known.id.as_str()).collect();
            problems.add_with_hint(
                place,
                format!("no station is named `{name}`"),
                hint(name, &names, "add a [[station]] with this id"),
            );
        }
        index.map(ComponentId)
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
        let index = self.class_by_id.get(name).copied();
        if index.is_none() {
            let classes = if problems.is_full() {
                &[]
            } else {
                self.classes.as_slice()
            };
            let names: Vec<&str> = classes.iter().map(String::as_str).collect();
            problems.add_with_hint(
                place,
                format!("no class is named `{name}`"),
                hint(name, &names, "write it into the `mix` of a source"),
            );
        }
        index.map(ClassId)
    }
}

/// The name that was meant, or what to do where there is none at all.
fn hint(written: &str, names: &[&str], without: &str) -> String {
    if names.is_empty() {
        return without.to_owned();
    }
    nearest_hint(written, names)
}

fn numbered<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, u16> {
    names.cloned().zip(0..u16::MAX).collect()
}
