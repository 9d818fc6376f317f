/**
 * The three functions of the reflect-metadata proposal that @peculiar/x509 asks for at load time. Import it first; a
 * package for it would be one more dependency for two tests.
 */
const store = new WeakMap<object, Map<unknown, unknown>>();

Object.assign(Reflect, {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    const known = store.get(target) ?? new Map<unknown, unknown>();
    store.set(target, known.set(key, value));
  },
  getOwnMetadata: (key: unknown, target: object): unknown => store.get(target)?.get(key),
  getMetadata(key: unknown, target: object | null): unknown {
    for (let at = target; at !== null; at = Reflect.getPrototypeOf(at)) {
      if (store.get(at)?.has(key)) return store.get(at)?.get(key);
    }
    return undefined;
  },
});
