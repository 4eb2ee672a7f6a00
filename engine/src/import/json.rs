//! Reading JSON that somebody else wrote: wrong types are noticed, not fatal.
//!
//! Belongs here: values of any type, lists and maps with unusable entries counted.
//! Does not belong here: what a field means (one file per format).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use serde::de::{
    Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
    value::MapAccessDeserializer,
};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// One value; lists and maps are only noticed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar {
    /// Absent or `null`.
    #[default]
    Missing,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Real(f64),
    /// A text.
    Text(String),
    /// A list or a map.
    Other,
}

impl Scalar {
    /// The text, where it is one that says something.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Missing
            | Self::Bool(_)
            | Self::Whole(_)
            | Self::Real(_)
            | Self::Text(_)
            | Self::Other => None,
        }
    }

    /// True for `true` and the text `true`.
    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true)) || self.text() == Some("true")
    }

    /// A number of at least 0 times `factor`, rounded; `None` for anything else and beyond 2^63.
    pub(super) fn scaled(&self, factor: u32) -> Option<u64> {
        const LIMIT: i128 = 1 << 63;
        let whole = match self {
            Self::Whole(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Real(number) => {
                let product = libm::round(*number * f64::from(factor));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "range is checked"
                )]
                return (0.0..9.2e18).contains(&product).then_some(product as u64);
            }
            Self::Missing | Self::Bool(_) | Self::Other => return None,
        };
        let product = whole.checked_mul(i128::from(factor))?;
        if product > LIMIT {
            return None;
        }
        u64::try_from(product).ok()
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(i128::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// An object of the expected shape, or nothing where something else stands.
#[derive(Debug)]
pub(super) struct Loose<T>(pub(super) Option<T>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<T>(PhantomData<T>);

macro_rules! nothing_for_scalars {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    nothing_for_scalars! { Loose(None) }

    fn visit_unit<E>(self) -> Result<Loose<T>, E> {
        Ok(Loose(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Loose<T>, A::Error> {
        ScalarVisitor.visit_seq(list).map(|_| Loose(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Loose(Some(value)))
    }
}

/// A list of objects; what is no object is counted.
#[derive(Debug)]
pub(super) struct List<T> {
    /// The objects, in order.
    pub(super) items: Vec<T>,
    /// Entries that are no object; 1 where something else than a list stands.
    pub(super) unusable: u64,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::empty(0)
    }
}

impl<T> List<T> {
    const fn empty(unusable: u64) -> Self {
        Self {
            items: Vec::new(),
            unusable,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    nothing_for_scalars! { List::empty(1) }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::empty(0))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
        ScalarVisitor.visit_map(map).map(|_| List::empty(1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let mut found = List::empty(0);
        while let Some(Loose(item)) = list.next_element()? {
            match item {
                Some(item) => found.items.push(item),
                None => found.unusable = found.unusable.saturating_add(1),
            }
        }
        Ok(found)
    }
}

/// Objects by name; what is no object is left out.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) BTreeMap<String, T>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of objects")
    }

    nothing_for_scalars! { Named::default() }

    fn visit_unit<E>(self) -> Result<Named<T>, E> {
        Ok(Named::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Named<T>, A::Error> {
        ScalarVisitor.visit_seq(list).map(|_| Named::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let mut found = Named::default();
        while let Some((name, Loose(item))) = map.next_entry::<String, Loose<T>>()? {
            if let Some(item) = item {
                found.0.insert(name, item);
            }
        }
        Ok(found)
    }
}

/// Texts by name; other values are left out.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<String, String>);

impl Texts {
    /// The text of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Loose::<BTreeMap<String, Scalar>>::deserialize(deserializer)?;
        let texts = map.0.unwrap_or_default().into_iter();
        Ok(Self(
            texts
                .filter_map(|(name, value)| match value {
                    Scalar::Text(text) => Some((name, text)),
                    Scalar::Bool(value) => Some((name, value.to_string())),
                    _ => None,
                })
                .collect(),
        ))
    }
}

/// Objects in a document, however deep in lists; what is no object is counted.
#[derive(Debug)]
pub(super) struct Nested<T> {
    /// The objects, in order.
    pub(super) items: Vec<T>,
    /// Entries that are neither an object nor a list.
    pub(super) unusable: u64,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nested<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor(PhantomData))
    }
}

struct NestedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NestedVisitor<T> {
    type Value = Nested<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of them")
    }

    nothing_for_scalars! { Nested { items: Vec::new(), unusable: 1 } }

    fn visit_unit<E>(self) -> Result<Nested<T>, E> {
        Ok(Nested {
            items: Vec::new(),
            unusable: 1,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Nested<T>, A::Error> {
        let item = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Nested {
            items: vec![item],
            unusable: 0,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Nested<T>, A::Error> {
        let mut found = Nested {
            items: Vec::new(),
            unusable: 0,
        };
        while let Some(mut inner) = list.next_element::<Self::Value>()? {
            found.items.append(&mut inner.items);
            found.unusable = found.unusable.saturating_add(inner.unusable);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_scaled_or_refused() {
        let check = |json: &str, expected: Option<u64>| {
            let scalar: Scalar = serde_json::from_str(json).unwrap();
            assert_eq!(scalar.scaled(1000), expected, "{json}");
        };
        check("5", Some(5000));
        check("5.5", Some(5500));
        check("\"5\"", Some(5000));
        check("-1", None);
        check("-0.5", None);
        check("18446744073709551615", None);
        check("1e300", None);
        check("null", None);
        check("[1]", None);
        check("\"five\"", None);
    }

    #[test]
    fn what_is_no_object_is_counted_and_the_rest_is_kept() {
        #[derive(Debug, serde::Deserialize)]
        struct Item {
            a: u8,
        }
        let list: List<Item> =
            serde_json::from_str("[{\"a\":1}, 2, null, [3], {\"a\":4}]").unwrap();
        let kept: Vec<u8> = list.items.iter().map(|item| item.a).collect();
        assert_eq!((kept, list.unusable), (vec![1, 4], 3));
        let no_list: List<Item> = serde_json::from_str("{\"a\":1}").unwrap();
        assert_eq!((no_list.items.len(), no_list.unusable), (0, 1));
    }
}
