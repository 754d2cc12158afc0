//! Memory for a real-time thread whose libraries insist on allocating: set aside in advance, served in constant time, without locks.
//!
//! The echo canceller allocates and frees some fifty small blocks a frame. The system's allocator may take a lock that an ordinary
//! thread holds, or ask the kernel. So the program's allocator is [`RealTimeHeap`]: the system's for everyone, but for the one thread that
//! has [`join`]ed the reserve, which gets its blocks from a pool of its own by the TLSF algorithm (Masmano et al., "TLSF: a new dynamic
//! memory allocator for real-time systems", 2004; crate `rlsf`).
//!
//! A block of the pool that is freed elsewhere goes on a list, which the thread takes back with its next allocation.
#![allow(unsafe_code)] // A global allocator cannot be written without; each use says why it holds.

use rlsf::Tlsf;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Bytes set aside. Voice processing holds 30 KiB of it at most.
const SIZE: usize = 1 << 20;
const PAGE: usize = 4_096;

/// The program's allocator: the system's, and the reserve for the thread that has joined it.
pub struct RealTimeHeap;

/// Pools up to 2 MiB (a granularity of 32 bytes shifted by 16), in 16 classes to a power of two: 6 % of a block is wasted at most.
type Pool = Tlsf<'static, u16, u16, 16, 16>;

struct Reserve {
    /// Somebody has joined.
    taken: AtomicBool,
    /// Touched by who has joined, nobody else.
    pool: UnsafeCell<Pool>,
    /// Where the pool's memory begins; zero while there is none.
    start: AtomicUsize,
    /// Blocks that others freed.
    freed: AtomicPtr<Freed>,
    /// Allocations that found no room.
    misses: AtomicU64,
}

/// Written into a block that another thread has freed; every block has room for it.
struct Freed {
    next: *mut Freed,
    align: usize,
}

// SAFETY: `pool` is reached only by the thread that holds `taken` (see `joined`); everything else is atomic.
unsafe impl Sync for Reserve {}

static RESERVE: Reserve = Reserve {
    taken: AtomicBool::new(false),
    pool: UnsafeCell::new(Pool::new()),
    start: AtomicUsize::new(0),
    freed: AtomicPtr::new(ptr::null_mut()),
    misses: AtomicU64::new(0),
};

thread_local! {
    /// This thread has joined. Without a destructor, so that it can be asked at any time.
    static JOINED: Cell<bool> = const { Cell::new(false) };
}

fn joined() -> bool {
    JOINED.try_with(Cell::get).unwrap_or(false)
}

/// While it lives, the thread that made it allocates from the reserve.
pub struct Membership {
    /// It belongs to its thread.
    _not_send: PhantomData<*mut ()>,
}

/// Lets this thread allocate from the reserve; none if another one does already. May itself ask the system for the memory.
pub fn join() -> Option<Membership> {
    if RESERVE.taken.swap(true, Ordering::Acquire) {
        return None;
    }
    if RESERVE.start.load(Ordering::Relaxed) == 0 {
        // For ever: blocks may outlive the thread that took them.
        let memory: &'static mut [u8] = Box::leak(vec![0; SIZE].into_boxed_slice());
        // Touched now, so that no page has to be found later.
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = std::hint::black_box(1));
        let start = memory.as_ptr() as usize;
        // SAFETY: `taken` was ours to take, so nobody else is at the pool; the memory is ours for ever and used for nothing else.
        unsafe { (*RESERVE.pool.get()).insert_free_block_ptr(NonNull::from(memory)) };
        RESERVE.start.store(start, Ordering::Release);
    }
    JOINED.with(|joined| joined.set(true));
    Some(Membership { _not_send: PhantomData })
}

/// Allocations so far for which the reserve had no room, so that the system was asked.
pub fn misses() -> u64 {
    RESERVE.misses.load(Ordering::Relaxed)
}

impl Drop for Membership {
    fn drop(&mut self) {
        JOINED.with(|joined| joined.set(false));
        RESERVE.taken.store(false, Ordering::Release);
    }
}

impl Reserve {
    fn holds(&self, block: *mut u8) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start != 0 && (block as usize).wrapping_sub(start) < SIZE
    }

    /// # Safety
    /// This thread has joined.
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: who has joined is alone at the pool.
        let pool = unsafe { &mut *self.pool.get() };
        let mut freed = self.freed.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(block) = NonNull::new(freed) {
            // SAFETY: `give_back` wrote it there, and nobody has touched the block since.
            let Freed { next, align } = unsafe { block.as_ptr().read() };
            // SAFETY: the block is the pool's, was allocated with this alignment, and was freed once.
            unsafe { pool.deallocate(block.cast(), align) };
            freed = next;
        }
        match pool.allocate(with_room(layout)) {
            Some(block) => block.as_ptr(),
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                // SAFETY: the caller's promises are passed on.
                unsafe { System.alloc(layout) }
            }
        }
    }

    /// # Safety
    /// `block` is the pool's, with this layout, and is not used any more.
    unsafe fn give_back(&self, block: NonNull<u8>, layout: Layout) {
        let align = with_room(layout).align();
        if joined() {
            // SAFETY: who has joined is alone at the pool; the rest is the caller's promise.
            return unsafe { (*self.pool.get()).deallocate(block, align) };
        }
        let freed = block.cast::<Freed>().as_ptr();
        let mut next = self.freed.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody uses the block any more, and `with_room` has made it large enough and aligned.
            unsafe { freed.write(Freed { next, align }) };
            // Taken as a whole only, never one by one, so a block that comes back to the front meanwhile does no harm.
            match self.freed.compare_exchange_weak(next, freed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }
}

/// As wanted, but large enough and aligned for [`Freed`].
fn with_room(layout: Layout) -> Layout {
    let (room, wanted) = (Layout::new::<Freed>(), layout.size());
    Layout::from_size_align(wanted.max(room.size()), layout.align().max(room.align())).unwrap_or(layout)
}

// SAFETY: blocks come from the system or from the pool, each with the size and alignment asked for, and go back to where their address
// says that they came from. Nothing here unwinds.
unsafe impl GlobalAlloc for RealTimeHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if joined() {
            // SAFETY: this thread has joined.
            return unsafe { RESERVE.allocate(layout) };
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !joined() {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: this thread has joined, and a block has the size that was asked for.
        unsafe {
            let block = RESERVE.allocate(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !joined() && !RESERVE.holds(block) {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.realloc(block, layout, new_size) };
        }
        // SAFETY: the caller promises a valid size for this alignment; old and new block do not overlap and both hold what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match NonNull::new(block) {
            // SAFETY: its address says that it is the pool's; the rest is the caller's promise.
            Some(held) if RESERVE.holds(block) => unsafe { RESERVE.give_back(held, layout) },
            // SAFETY: the caller's promises are passed on.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::sync::mpsc;

    /// The reserve is one for the whole process: one test, so that nobody else takes it meanwhile.
    #[test]
    fn blocks_are_whole_and_come_back_wherever_they_are_freed() {
        let layout = |size| Layout::from_size_align(size, 1 << (size % 7)).unwrap();
        let filled = |size: usize| {
            // SAFETY: a valid layout; the block is written within its size only.
            unsafe {
                let block = RealTimeHeap.alloc(layout(size));
                assert_eq!(block as usize % layout(size).align(), 0);
                block.write_bytes(size as u8, size);
                block
            }
        };
        let whole = |block: *mut u8, size: usize| (0..size).all(|at| unsafe { block.add(at).read() } == size as u8);

        let outside = filled(100);
        assert!(!RESERVE.holds(outside), "who has not joined gets the system's");
        let (send, freeing) = mpsc::channel::<(usize, usize)>();
        let elsewhere = std::thread::spawn(move || {
            for (block, size) in freeing {
                let block = block as *mut u8;
                assert!(whole(block, size));
                // SAFETY: sent here to be freed, once.
                unsafe { RealTimeHeap.dealloc(block, layout(size)) };
            }
        });
        let membership = join().unwrap();
        let mut rng = StdRng::seed_from_u64(2004);
        let mut held: Vec<(*mut u8, usize)> = Vec::new();
        for _ in 0..200_000 {
            if held.len() > 60 || (!held.is_empty() && rng.random_bool(0.4)) {
                let (block, size) = held.swap_remove(rng.random_range(0..held.len()));
                assert!(whole(block, size));
                if rng.random_bool(0.1) {
                    send.send((block as usize, size)).unwrap();
                } else if rng.random_bool(0.2) {
                    let more = size + 7;
                    // SAFETY: held, of this layout; alignment of the old size goes with the block.
                    unsafe {
                        let grown = RealTimeHeap.realloc(block, layout(size), more);
                        assert!(whole(grown, size.min(more)));
                        let grown_layout = Layout::from_size_align(more, layout(size).align()).unwrap();
                        RealTimeHeap.dealloc(grown, grown_layout);
                    }
                } else {
                    // SAFETY: held, of this layout.
                    unsafe { RealTimeHeap.dealloc(block, layout(size)) };
                }
            } else {
                let size = rng.random_range(1..4_000);
                let block = filled(size);
                assert!(RESERVE.holds(block) || misses() > 0);
                held.push((block, size));
            }
        }
        // What others free comes back: over all that time the pool would have run out many times.
        assert!(held.iter().any(|(block, _)| RESERVE.holds(*block)));
        assert!(std::thread::spawn(|| join().is_none()).join().unwrap(), "one at a time");
        // SAFETY: held, each once; and the one from before.
        unsafe {
            held.drain(..).for_each(|(block, size)| RealTimeHeap.dealloc(block, layout(size)));
            RealTimeHeap.dealloc(outside, layout(100));
        }
        drop(send);
        elsewhere.join().unwrap();
        drop(membership);

        let _again = join().unwrap();
        // SAFETY: a valid layout, freed with the same one.
        unsafe {
            let most = Layout::from_size_align(SIZE * 9 / 10, 16).unwrap();
            let block = RealTimeHeap.alloc(most);
            assert!(RESERVE.holds(block), "all of it is there again, in one piece");
            let before = misses();
            let beyond = RealTimeHeap.alloc(most);
            assert!(!RESERVE.holds(beyond) && misses() == before + 1, "the system helps out, and it is counted");
            RealTimeHeap.dealloc(beyond, most);
            RealTimeHeap.dealloc(block, most);
        }
    }
}
