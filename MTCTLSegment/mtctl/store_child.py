"""Writes to the case store in a child process, for windows that must not freeze: `python -m mtctl.store_child REQUEST`.

REQUEST is a JSON file, its arrays beside it as .npy (`worker_exchange.write_steps` writes them without holding up a
window):

    {"store": FOLDER, "operation": "add" | "prediction" | "draft" | "accept" | "reject", "case": ID or null,
     "geometry": worker_protocol.geometry_message(...), "arrays": {NAME: FILE.npy, ...},
     "report": {...}, "review": {...}, "reviewer": "", "reason": ""}

Arrays: "scan" for add; "segmentation" and the maps by name for prediction; "segmentation" for draft and accept. With
"scan" among them, the case is added first where it is not in the store yet. One line of JSON comes back:
{"event": "done", "case": ID, "state": ..., "version": N} or {"event": "failed", "reason": ...}.
"""
