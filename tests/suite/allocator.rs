//! A global allocator that counts what armed threads do. The test binary's `main.rs` must say
//! `#[global_allocator] static ALLOCATOR: allocator::Counting = allocator::Counting;`.
#![allow(unsafe_code)] // A global allocator cannot be written without; it only counts and passes everything on to the system's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Calls since this thread was armed; `None` while it is not. Without a destructor, so that it can be asked at any time.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The system's allocator, with counting.
pub struct Counting;

fn count() {
    let _ = COUNT.try_with(|count| count.set(count.get().map(|n| n + 1)));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting touches a plain
// thread-local cell only and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Counts this thread's allocations, reallocations and frees while `work` runs.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    COUNT.with(|count| count.set(Some(0)));
    let result = work();
    let calls = COUNT.with(|count| count.replace(None)).unwrap_or(0);
    (result, calls)
}

#[test]
fn the_counter_counts() {
    let (boxed, calls) = counted(|| std::hint::black_box(Box::new(std::hint::black_box([0_u8; 64]))));
    assert_eq!(calls, 1, "one allocation");
    let ((), calls) = counted(|| drop(boxed));
    assert_eq!(calls, 1, "one free");
    let (sum, calls) = counted(|| (0..100_u64).sum::<u64>());
    assert_eq!((sum, calls), (4_950, 0));
}
