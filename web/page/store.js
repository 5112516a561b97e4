// The last run, in the browser's own store.

const NAME = "downhill";
const RUNS = "runs";
const LAST = "last";

function asked(request) {
    return new Promise((done, failed) => {
        request.onsuccess = () => done(request.result);
        request.onerror = () => failed(request.error);
    });
}

async function runs(mode) {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(RUNS);
    return (await asked(request)).transaction(RUNS, mode).objectStore(RUNS);
}

/** Keeps a run in place of the one before. */
export const keep = async (run) => asked((await runs("readwrite")).put(run, LAST));
/** The run that was kept, if there is one. */
export const kept = async () => asked((await runs("readonly")).get(LAST));
/** Drops it. */
export const forget = async () => asked((await runs("readwrite")).delete(LAST));
