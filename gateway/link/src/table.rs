//! The links of a shard: found by handle, with a list of those that have work and an order of those that wait for time.

use std::{collections::BTreeSet, time::Instant};

use horizon_dataplane::forwarder::LinkId;
use quinn_proto::ConnectionHandle;

use crate::link::{Link, handle_of};

#[derive(Default)]
pub(crate) struct Table {
    /// By the endpoint's own small numbers.
    places: Vec<Place>,
    dirty: Vec<ConnectionHandle>,
    timers: BTreeSet<(Instant, usize)>,
    count: usize,
}

#[derive(Default)]
struct Place {
    link: Option<Box<Link>>,
    is_dirty: bool,
    timer: Option<Instant>,
}

impl Table {
    pub(crate) fn insert(&mut self, link: Link) -> &mut Link {
        let handle = link.handle;
        if self.places.len() <= handle.0 {
            self.places.resize_with(handle.0 + 1, Place::default);
        }
        self.count += 1;
        self.mark(handle);
        self.places[handle.0].link.insert(Box::new(link))
    }

    /// Takes a link out to work on it; [`Table::put`] brings it back.
    pub(crate) fn take(&mut self, handle: ConnectionHandle) -> Option<Box<Link>> {
        self.places.get_mut(handle.0)?.link.take()
    }

    pub(crate) fn put(&mut self, mut link: Box<Link>) {
        let timer = link.connection.poll_timeout();
        let handle = link.handle;
        self.places[handle.0].link = Some(link);
        self.set_timer(handle, timer);
    }

    /// Lets go of a link that was taken out.
    pub(crate) fn remove(&mut self, handle: ConnectionHandle) {
        self.set_timer(handle, None);
        self.count -= 1;
    }

    pub(crate) fn get_mut(&mut self, handle: ConnectionHandle) -> Option<&mut Link> {
        self.places.get_mut(handle.0)?.link.as_deref_mut()
    }

    /// Returns a link by its id, unless its number is another link's by now.
    pub(crate) fn by_id(&mut self, id: LinkId) -> Option<&mut Link> {
        self.get_mut(handle_of(id)).filter(|link| link.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.places.iter().filter_map(|place| place.link.as_deref())
    }

    pub(crate) fn handles(&self) -> Vec<ConnectionHandle> {
        self.iter().map(|link| link.handle).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The link has work in this turn.
    pub(crate) fn mark(&mut self, handle: ConnectionHandle) {
        let place = &mut self.places[handle.0];
        if !place.is_dirty {
            place.is_dirty = true;
            self.dirty.push(handle);
        }
    }

    /// Takes the list of links that have work. They may be marked again at once.
    pub(crate) fn take_dirty(&mut self, list: &mut Vec<ConnectionHandle>) {
        list.clear();
        std::mem::swap(list, &mut self.dirty);
        for handle in list {
            self.places[handle.0].is_dirty = false;
        }
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Returns a link whose time has come.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<ConnectionHandle> {
        let (at, index) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        self.places[index].timer = None;
        Some(ConnectionHandle(index))
    }

    fn set_timer(&mut self, handle: ConnectionHandle, timer: Option<Instant>) {
        let place = &mut self.places[handle.0];
        if place.timer == timer {
            return;
        }
        if let Some(old) = place.timer {
            self.timers.remove(&(old, handle.0));
        }
        if let Some(at) = timer {
            self.timers.insert((at, handle.0));
        }
        place.timer = timer;
    }
}
