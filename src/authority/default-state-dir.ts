/** What `state_dir` is where nothing says otherwise; its admin socket is what the command line looks for. */
export const DEFAULT_STATE_DIR = '/var/lib/ait/authority';
