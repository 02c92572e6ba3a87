import { Desk } from './desk/desk';
import { LecternAnswer } from './elements/answer';
import { LecternComposer } from './elements/composer';
import { LecternConversation } from './elements/conversation';
import { LecternDesk } from './elements/desk';
import { LecternFacts } from './elements/facts';
import { LecternModels } from './elements/models';
import { LecternNotices } from './elements/notices';
import { LecternPages } from './elements/pages';
import { LecternReader } from './elements/reader';
import { LecternSettings } from './elements/settings';

customElements.define('lectern-answer', LecternAnswer);
customElements.define('lectern-composer', LecternComposer);
customElements.define('lectern-conversation', LecternConversation);
customElements.define('lectern-facts', LecternFacts);
customElements.define('lectern-models', LecternModels);
customElements.define('lectern-notices', LecternNotices);
customElements.define('lectern-pages', LecternPages);
customElements.define('lectern-reader', LecternReader);
customElements.define('lectern-settings', LecternSettings);
customElements.define('lectern-desk', LecternDesk);

const desk = new Desk(new URL('.', document.baseURI));
const element = new LecternDesk();
element.desk = desk;
document.body.append(element);
void desk.begin();
