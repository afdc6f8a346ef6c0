//! What a shortcut comes to. Nothing is an error here: what is not known is left to the engine.

use horizon_api::resource::Period;

use super::{
    Loop, Shortcut,
    known::{Known, address, known, prefix},
};

/// A name and what it stands for, before those that were there already.
pub(super) struct Variables<'a, 'v> {
    pub name: &'v str,
    pub value: Known<'a>,
    pub outer: Option<&'v Self>,
}

impl Shortcut {
    pub(super) fn run<'a>(&'a self, variables: &Variables<'a, '_>) -> Option<Known<'a>> {
        let bool = |part: &'a Self| part.run(variables)?.bool();
        Some(match self {
            Self::Bool(value) => Known::Bool(*value),
            Self::Int(value) => Known::Int(*value),
            Self::Text(text) => Known::Text(text),
            Self::Variable(name) => return variables.find(name),
            Self::Field(of, name) => of.run(variables)?.map()?.field(name)?,
            Self::Has(of, name) => Known::Bool(of.run(variables)?.map()?.has(name)),
            Self::Size(of) => Known::Int(i64::try_from(of.items(variables)?.len()).ok()?),
            Self::Not(of) => Known::Bool(!bool(of)?),
            Self::And(parts) => Known::Bool(bool(&parts[0])? && bool(&parts[1])?),
            Self::Or(parts) => Known::Bool(bool(&parts[0])? || bool(&parts[1])?),
            Self::If(parts) => return parts[if bool(&parts[0])? { 1 } else { 2 }].run(variables),
            Self::Sum(parts) => {
                let [a, b] = parts.each_ref().map(|part| part.run(variables)?.int());
                Known::Int(a?.checked_add(b?)?)
            }
            Self::Equal(parts) => {
                let [a, b] = parts.each_ref().map(|part| part.run(variables));
                Known::Bool(a?.equals(b?)?)
            }
            Self::AtLeast(parts) => {
                let [a, b] = parts.each_ref().map(|part| part.run(variables));
                Known::Bool(a?.is_at_least(b?)?)
            }
            Self::OneOf(parts) => {
                let of = parts[0].run(variables)?;
                let mut equal = parts[1].items(variables)?.map(|item| of.equals(item?));
                Known::Bool(equal.try_fold(false, |any, equal| Some(any | equal?))?)
            }
            Self::Prefix(of) => Known::Prefix(prefix(of.run(variables)?.text()?)?),
            Self::PrefixLength(of) => Known::Int(of.run(variables)?.prefix()?.prefix_len().into()),
            Self::Family(of) => Known::Int(if of.run(variables)?.prefix()?.addr().is_ipv4() { 4 } else { 6 }),
            Self::Contains(parts) => {
                let (outer, inner) = (parts[0].run(variables)?.prefix()?, parts[1].run(variables)?);
                let inner = inner.prefix().or_else(|| prefix(inner.text()?))?;
                Known::Bool(outer.contains(&inner.addr()) && outer.prefix_len() <= inner.prefix_len())
            }
            Self::ContainsAddress(parts) => {
                let (outer, inner) = (parts[0].run(variables)?.prefix()?, parts[1].run(variables)?);
                Known::Bool(outer.contains(&address(inner.text()?)?))
            }
            Self::Span(of) => Known::Span(of.run(variables)?.text()?.parse::<Period>().ok()?.as_seconds()),
            Self::Loop(parts) => return parts.run(variables),
            Self::List(_) | Self::Unknown => return None,
        })
    }

    /// Returns the items of a list, written out or not.
    fn items<'v, 'a: 'v>(
        &'a self,
        variables: &'v Variables<'a, 'v>,
    ) -> Option<Box<dyn ExactSizeIterator<Item = Option<Known<'a>>> + 'v>> {
        if let Self::List(items) = self {
            return Some(Box::new(items.iter().map(|item| item.run(variables))));
        }
        let (items, schema) = self.run(variables)?.list()?;
        Some(Box::new(items.iter().map(move |item| known(item, schema))))
    }
}

impl Loop {
    fn run<'a>(&'a self, variables: &Variables<'a, '_>) -> Option<Known<'a>> {
        let mut sum = self.start.run(variables)?;
        for item in self.items.items(variables)? {
            let with_sum = Variables { name: &self.sum, value: sum, outer: Some(variables) };
            if !self.goes_on.run(&with_sum)?.bool()? {
                break;
            }
            sum = self.step.run(&Variables { name: &self.item, value: item?, outer: Some(&with_sum) })?;
        }
        self.end.run(&Variables { name: &self.sum, value: sum, outer: Some(variables) })
    }
}

impl<'a> Variables<'a, '_> {
    fn find(&self, name: &str) -> Option<Known<'a>> {
        let mut here = Some(self);
        while let Some(variable) = here {
            if variable.name == name {
                return Some(variable.value);
            }
            here = variable.outer;
        }
        None
    }
}
