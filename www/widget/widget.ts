import { LecternAsk } from './lectern-ask';

if (!customElements.get('lectern-ask')) customElements.define('lectern-ask', LecternAsk);

export { LecternAsk };
