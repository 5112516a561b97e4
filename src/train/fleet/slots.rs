//! Which nets train: those that end leave their slots, others take them, and the rest moves together into the first.

use std::sync::Arc;

use pollster::block_on;

use super::Fleet;
use super::net::Place;
use crate::compile::Orders;
use crate::engine::WindowClock;
use crate::error::Result;

impl Fleet {
    /// The device's clock of each net that trains.
    pub(super) fn clocks(&self) -> Vec<WindowClock> {
        self.slots.iter().map(|&net| self.nets[net].progress.clock(self.nets[net].rule())).collect()
    }

    /// Takes the nets that leave out of their slots: their state goes to the host, or is dropped.
    pub(super) fn vacate(&mut self, leaving: &[usize]) -> Result<Vec<usize>> {
        let mut free = Vec::with_capacity(leaving.len());
        for &net in leaving {
            let Place::Slot(slot) = self.nets[net].place else { continue };
            let keeps = self.nets[net].end.is_none() || !self.options.forget_ended;
            self.nets[net].place = match keeps {
                true => Place::Host(Arc::new(block_on(self.engine.read_state(&self.plan, slot))?)),
                false => Place::Dropped,
            };
            free.push(slot);
        }
        free.sort_unstable();
        Ok(free)
    }

    /// Gives the free slots, and those beyond, to nets that wait for one, and closes the gaps. Nets that train at once are at
    /// the same step of an epoch, and of the same epoch where they share an order.
    pub(super) fn fill(&mut self, mut free: Vec<usize>) -> Result<()> {
        let stays = |slot: &usize| !free.contains(slot);
        let position = (0..self.slots.len()).find(stays).map(|slot| self.nets[self.slots[slot]].position());
        free.extend(self.slots.len()..self.at_once());
        let room = free.len();
        let mut coming = self.waiting(position, room).into_iter();
        let mut gaps = Vec::new();
        for slot in free {
            match coming.next() {
                Some(net) => self.enter(net, slot)?,
                None if slot < self.slots.len() => gaps.push(slot),
                None => {}
            }
        }
        // From the last on: what moves into a gap is no gap itself.
        for slot in gaps.into_iter().rev() {
            let last = self.slots.len() - 1;
            let moved = self.slots.swap_remove(slot);
            debug_assert!(!matches!(self.nets[moved].place, Place::Slot(_)), "it has left");
            if slot < last {
                let net = self.slots[slot];
                let state = block_on(self.engine.read_state(&self.plan, last))?;
                self.engine.write_buffers(&self.plan, slot, &state);
                self.engine.swap_orders(slot, last);
                self.nets[net].place = Place::Slot(slot);
            }
        }
        Ok(())
    }

    /// The first nets that wait for a slot and are at this position; without one, at that of the first of them.
    fn waiting(&self, position: Option<(usize, u64)>, most: usize) -> Vec<usize> {
        let waits = |net: &usize| {
            let own = &self.nets[*net];
            let is_out = matches!(own.place, Place::New(_) | Place::Host(_));
            let epochs = own.progress.epochs_reported;
            is_out && own.end.is_none() && !(own.position().0 == 0 && self.judged.holds(*net, epochs))
        };
        let all: Vec<usize> = (0..self.nets.len()).filter(waits).collect();
        // Those within an epoch, of a run that was stopped, first: others join them at its end.
        let first = all.iter().max_by_key(|&&net| (self.nets[net].position().0, std::cmp::Reverse(net)));
        let Some(position) = position.or(first.map(|&net| self.nets[net].position())) else {
            return Vec::new();
        };
        let fits = |net: &usize| {
            let own = self.nets[*net].position();
            own.0 == position.0 && (self.options.orders == Orders::Own || own.1 == position.1)
        };
        all.into_iter().filter(fits).take(most).collect()
    }

    /// Puts a net that waits into a slot.
    fn enter(&mut self, net: usize, slot: usize) -> Result<()> {
        let own = &mut self.nets[net];
        match std::mem::replace(&mut own.place, Place::Slot(slot)) {
            Place::Host(state) => {
                self.engine.set_order(&self.plan, slot, &self.data, &own.variant.options);
                self.engine.write_buffers(&self.plan, slot, &state);
            }
            place => {
                self.engine.begin(&self.plan, slot, &self.data, &own.variant.options);
                if let Place::New(Some(weights)) = place
                    && let Some(batches) = self.engine.write_model(&self.plan, slot, &weights)?
                {
                    own.progress.set_batches_seen(batches);
                }
            }
        }
        match self.slots.get_mut(slot) {
            Some(own) => *own = net,
            None => self.slots.push(net),
        }
        Ok(())
    }
}
